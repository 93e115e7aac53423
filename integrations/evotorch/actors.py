"""Cutting a generation into chunks, and evaluating them here or on actors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dispatch import Dispatch
from .rollouts import Candidates, Rollouts

if TYPE_CHECKING:
    from .policy_problem import PolicyProblem

CHUNK = 32
"""Candidates of a chunk, about: longer batches leave the processor's cache, shorter ones cost more
Python per environment step."""

LONG_CHUNK = 128
"""Candidates of a long chunk, about: the slots of episodes that ended are refilled as long as
candidates are left, and only a chunk's last episodes run with few beside them."""

SHORT_GENERATION = 0.5
"""Seconds below which handing out chunks takes a share of a generation that is worth saving."""


def chunk_slices(num_candidates: int, num_actors: int, *, long: bool = False) -> list[slice]:
    """Cut a generation into equal chunks, as many for each actor, handed out as actors are free.

    Args:
        num_candidates: of the generation.
        num_actors: below 2 the candidates run here.
        long: whether chunks are long.
    """
    num_actors = max(num_actors, 1)
    size = LONG_CHUNK if long else CHUNK
    per_actor = max(round(num_candidates / (num_actors * size)), 1)
    num_chunks = min(per_actor * num_actors, num_candidates)
    bounds = [num_candidates * i // num_chunks for i in range(num_chunks + 1)]
    return [slice(start, stop) for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]


def map_chunks(problem: PolicyProblem, chunks: list[Candidates]) -> list[Rollouts]:
    """Evaluate the chunks here or on the problem's actors; results in the candidates' order."""
    if problem.crew is None:
        return [problem.evaluate_candidates(chunk) for chunk in chunks]
    dispatch = Dispatch(
        problem.crew,
        chunks,
        steps_per_candidate=problem.num_episodes * problem.episode_length,
        chunk_timeout=problem.chunk_timeout,
        observation_size=0 if problem.normalizer is None else problem.observation_size,
        strict=problem.strict,
    )
    try:
        return dispatch.run()
    finally:
        problem.num_replaced = dispatch.num_replaced
