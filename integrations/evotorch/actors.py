"""Spreading a generation over Ray actors without a result that depends on how."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import ray

from .rollouts import Candidates, Rollouts

if TYPE_CHECKING:
    from .policy_problem import PolicyProblem

DEFAULT_ACTOR_CONFIG: dict[str, Any] = {"max_restarts": 10, "max_task_retries": 3}
"""An actor that dies comes back and runs its chunk again."""


def ensure_ray() -> None:
    """Start Ray on this machine without its dashboard, or join the cluster of RAY_ADDRESS."""
    if ray.is_initialized():
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        options["include_dashboard"] = False
    ray.init(**options)


CHUNK = 32
"""Candidates of a chunk, about: longer batches leave the processor's cache, shorter ones cost more
Python per environment step."""


def chunk_slices(num_candidates: int, num_actors: int) -> list[slice]:
    """Cut a generation into equal chunks, as many for each actor, handed out as actors are free."""
    num_actors = max(num_actors, 1)
    per_actor = max(round(num_candidates / (num_actors * CHUNK)), 1)
    num_chunks = min(per_actor * num_actors, num_candidates)
    bounds = [num_candidates * i // num_chunks for i in range(num_chunks + 1)]
    return [slice(start, stop) for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]


def map_chunks(problem: PolicyProblem, chunks: list[Candidates]) -> list[Rollouts]:
    """Evaluate the chunks here or on the problem's actors; results in the chunks' order."""
    if problem.actors is None:
        return [problem.evaluate_candidates(chunk) for chunk in chunks]
    results: dict[int, Rollouts] = {}
    waiting = list(enumerate(chunks))
    busy: dict[Any, tuple[int, Any]] = {}
    idle = list(problem.actors)
    while waiting or busy:
        while waiting and idle:
            number, chunk = waiting.pop(0)
            actor = idle.pop()
            busy[actor.call.remote("evaluate_candidates", [chunk], {})] = (number, actor)
        ready, _ = ray.wait(list(busy), num_returns=1)
        number, actor = busy.pop(ready[0])
        results[number] = ray.get(ready[0])
        idle.append(actor)
    return [results[number] for number in range(len(chunks))]
