"""Whether a Ray cluster answers at an address, found out before this process depends on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import ray

from structured_layers.errors import StructuredLayersError

ADDRESS_LIMIT = 2.0
"""Seconds in which whatever listens at a cluster's address has to answer."""

JOIN_LIMIT = 14.0
"""Seconds in which another process has to join the cluster."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

_JOIN = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], logging_level=50, log_to_driver=False)
except BaseException as error:
    print(error)
    raise
"""


def check_address(address: str) -> None:
    """Refuse an address where nobody listens, or something that lets no process join.

    Ray itself would wait for minutes, and end the process. So another process joins first, and is
    ended when that takes too long.

    Raises:
        StructuredLayersError: no cluster answers, after 20 s at most.
    """
    if address != "auto":
        _check_answer(address)
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=JOIN_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        said = _last_line((error.stderr or b"").decode(errors="replace"))
        reason = f"joining it took longer than {JOIN_LIMIT:.0f} s"
        raise no_cluster(address, f"{reason} ({said})" if said else reason) from error
    if tried.returncode != 0:
        said = _last_line(tried.stdout) or _last_line(tried.stderr)
        raise no_cluster(address, said or "joining it ended the process")


def no_cluster(address: str, reason: str) -> StructuredLayersError:
    """Return the error of an address where no cluster answers, with what may help."""
    hint = "start one with `ray start --head`, or leave the address out to run on this machine"
    if "oken" in reason or "uthenti" in reason:
        hint = (
            "the cluster asks for authentication: set RAY_AUTH_TOKEN to the token that its first "
            "machine has in ~/.ray/auth_token, and RAY_AUTH_MODE=token"
        )
    elif "took longer" in reason or "client" in reason:
        hint += "; a port of Ray's client server needs ray:// before it, all others none"
    return StructuredLayersError(f"no Ray cluster answers at {address}: {reason}; {hint}")


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses, ``host:port``, are the same, whatever the host is called."""
    (host, port), (other_host, other_port) = _split(one), _split(other)
    return port == other_port and not _ips(host).isdisjoint(_ips(other_host))


def _last_line(text: str) -> str:
    """Return what was said last, without the time and place that Ray's logs begin with."""
    lines = text.strip().splitlines()
    return lines[-1].rpartition("] ")[2] if lines else ""


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _ips(host: str) -> set[str]:
    """Return the addresses of a host, of this machine both the inner and the outer one."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}
    own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    here = {"127.0.0.1", "::1", own}
    return found if found.isdisjoint(here) else found | here


def _check_answer(address: str) -> None:
    """Refuse within seconds what is no address, and what is not Ray.

    Ray's servers speak HTTP/2 and begin with a settings frame, whose type is the fourth byte.
    """
    host, port = _split(address.removeprefix("ray://"))
    if not host or not port.isdigit():
        raise StructuredLayersError(
            f'a Ray address is "host:port", "ray://host:port" or "auto", got {address!r}'
        )
    try:
        with socket.create_connection((host, int(port)), ADDRESS_LIMIT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            connection.settimeout(ADDRESS_LIMIT)
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        raise no_cluster(address, str(error)) from error
    if len(answer) < 4 or answer[3] != 4:
        raise no_cluster(address, "what listens there is not Ray")
