"""Ray on this machine, or a cluster that is joined by its address."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any, Literal

import ray
from ray.exceptions import RayError

from structured_layers.errors import StructuredLayersError

from ..argument_values import is_integer, shown
from .ray_addresses import check_address, no_cluster, same_address

NumActors = int | Literal["auto"]


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
    address = address if address is not None else ambient_address()
    if address in (None, "local"):
        # "local", because Ray would join a cluster that somebody else started here
        ray.init(address="local", **options, include_dashboard=False)
        return
    check_address(address)
    try:
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError, AssertionError, RayError) as error:
        raise no_cluster(address, str(error)) from error
    _joined[address] = _current_address()


def ambient_address() -> str | None:
    """Return the cluster's address that the environment names, if it does."""
    address = os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "local") else address


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

    Without it, RAY_ADDRESS counts, if actors are asked for. ``auto`` is one for each core, and none
    on a machine with a single one; EvoTorch's names of it, ``max`` and ``num_cpus``, mean the same.
    More actors than cores give a warning.
    """
    if isinstance(asked, str) and asked in ("max", "num_cpus"):
        asked = "auto"
    if asked != "auto" and (not is_integer(asked) or asked < 0):
        raise StructuredLayersError(
            f'num_actors must be an integer of at least 0, or "auto", got {shown(asked)}'
        )
    if ray_address is not None:
        if not isinstance(ray_address, str):
            raise StructuredLayersError(
                f'ray_address must be text such as "first-machine:6379", got {shown(ray_address)}'
            )
        if asked != "auto" and asked < 2:
            raise StructuredLayersError(
                f'ray_address needs at least 2 actors, got num_actors={asked}; take "auto" for '
                "one on each of the cluster's cores"
            )
        ensure_ray(ray_address)
    elif ambient_address() is not None and (asked == "auto" or asked >= 2):
        ensure_ray()
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
    if address in (None, "auto", "local"):
        return
    joined = _current_address()
    if joined == _joined.get(address) or same_address(address, joined):
        return
    if joined == _CLIENT and address.startswith(_CLIENT):
        return  # which server it is, Ray does not say
    raise StructuredLayersError(
        f"this process has joined the Ray cluster at {joined} and cannot join {address} too; "
        "call ray.shutdown() first"
    )


def _current_address() -> str:
    if ray.util.client.ray.is_connected():  # type: ignore[no-untyped-call]
        return _CLIENT
    return str(ray.get_runtime_context().gcs_address)


_CLIENT = "ray://"
_joined: dict[str, str] = {}
"""What Ray calls the addresses that this process joined: it rewrites them."""
