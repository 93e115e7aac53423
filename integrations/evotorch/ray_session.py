"""Ray on this machine, or a cluster that is joined by its address."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from typing import Any, Literal

import ray

from structured_layers.errors import StructuredLayersError

ADDRESS_LIMIT = 5.0
"""Seconds in which whatever listens at a cluster's address has to answer."""

NumActors = int | Literal["auto"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def ensure_ray(address: str | None = None) -> None:
    """Join the cluster at ``address`` or RAY_ADDRESS, or start Ray here without its dashboard.

    Args:
        address: ``host:port``, ``ray://host:port``, or ``auto`` for the one that runs here.

    Raises:
        StructuredLayersError: nobody answers at the address, which is said within seconds, or this
            process has joined another cluster already.
    """
    if ray.is_initialized():
        _check_same_cluster(address)
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        # "local", because Ray would join a cluster that somebody else started here
        ray.init(address="local", **options, include_dashboard=False)
        return
    _check_answer(address)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error)) from error


def available_cores() -> int:
    """Return the cores of the cluster, or those that this process may run on."""
    if ray.is_initialized():
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return int(resources.get("CPU", 1))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve_num_actors(asked: NumActors, ray_address: str | None) -> int:
    """Return the number of actors, after the cluster at ``ray_address`` was joined.

    ``auto`` is one for each core, and none on a machine with a single one. More actors than cores
    give a warning.
    """
    if asked != "auto" and (isinstance(asked, str) or asked < 0):
        raise StructuredLayersError(f'num_actors must be at least 0, or "auto", got {asked!r}')
    if ray_address is not None:
        if asked != "auto" and asked < 2:
            raise StructuredLayersError(
                f'ray_address needs at least 2 actors, got num_actors={asked}; take "auto" for '
                "one on each of the cluster's cores"
            )
        ensure_ray(ray_address)
    cores = available_cores()
    if asked == "auto":
        return cores if cores > 1 else 0
    if asked > max(cores, 1) and asked > 1:
        warnings.warn(
            f"{asked} actors on {cores} core{'s' if cores > 1 else ''} slow each other down; "
            f"num_actors={cores if cores > 1 else 0} is enough",
            RuntimeWarning,
            stacklevel=4,
        )
    return asked


def _check_same_cluster(address: str | None) -> None:
    if address is None or ":" not in address or address.startswith("ray://"):
        return
    joined = ray.get_runtime_context().gcs_address
    if joined != address:
        raise StructuredLayersError(
            f"this process has joined the Ray cluster at {joined} and cannot join {address} too; "
            "call ray.shutdown() first"
        )


def _check_answer(address: str) -> None:
    """Refuse an address where nothing listens, or something that is no cluster.

    Ray itself would wait for minutes, and end the process. Its servers speak HTTP/2 and begin with
    a settings frame, whose type is the fourth byte.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise StructuredLayersError(
            f'a Ray address is "host:port", "ray://host:port" or "auto", got {address!r}'
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ADDRESS_LIMIT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            connection.settimeout(ADDRESS_LIMIT)
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error
    if len(answer) < 4 or answer[3] != 4:
        raise _no_cluster(address, "what listens there is not Ray")


def _no_cluster(address: str, reason: str) -> StructuredLayersError:
    return StructuredLayersError(
        f"no Ray cluster answers at {address}: {reason}; start one with `ray start --head`, or "
        "leave the address out to run on this machine"
    )
