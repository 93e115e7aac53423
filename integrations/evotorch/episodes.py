"""The seeds and the length of episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from structured_layers.errors import StructuredLayersError


def episode_seed(run_seed: int, key: tuple[int, ...]) -> int:
    """Return the seed of the episode that ``key`` numbers, independent of all others.

    It has 31 bits, because some environments pass it on to generators that take no more.
    """
    sequence = np.random.SeedSequence(run_seed, spawn_key=key)
    return int(sequence.generate_state(1)[0] >> 1)


def drawn_seed() -> int:
    """Return a seed of a run that nobody chose, of 32 bits."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def cut_length(
    asked: int | None, time_limit: int | None, env_config: Mapping[str, Any] | None = None
) -> int:
    """Return the steps after which an episode is cut: 1000, or the environment's own limit.

    Args:
        asked: another number of steps instead of 1000.
        time_limit: the environment's own limit, None if it has none.
        env_config: if it contains ``max_episode_steps``, that limit holds beyond 1000 too.
    """
    if asked is not None and asked < 1:
        raise StructuredLayersError(f"episode_length must be at least 1, got {asked}")
    if asked is None and time_limit is not None and "max_episode_steps" in (env_config or {}):
        return time_limit
    longest = 1000 if asked is None else asked
    return longest if time_limit is None else min(longest, time_limit)


def check_episodes(num_episodes: int, seed: int | None) -> None:
    """Refuse a number of episodes or a seed that cannot be."""
    if num_episodes < 1:
        raise StructuredLayersError(f"num_episodes must be at least 1, got {num_episodes}")
    if seed is not None and seed < 0:
        raise StructuredLayersError(f"seed must be at least 0, got {seed}")
