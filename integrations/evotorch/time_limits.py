"""How long a chunk of candidates may take before its actor is taken for hung."""

from __future__ import annotations

import math
from typing import Literal

from structured_layers.errors import StructuredLayersError

from ..argument_values import is_finite, shown

ChunkTimeout = float | Literal["auto"] | None

AUTO_SECONDS, AUTO_SECONDS_PER_STEP = 60.0, 0.05
"""What ``"auto"`` allows: it cuts no environment that makes 20 steps a second."""


def check_chunk_timeout(chunk_timeout: ChunkTimeout, num_actors: int) -> None:
    """Refuse a limit that is no time, or that nobody could enforce."""
    if chunk_timeout is None or (isinstance(chunk_timeout, str) and chunk_timeout == "auto"):
        return
    if isinstance(chunk_timeout, str) or not is_finite(chunk_timeout) or chunk_timeout <= 0:
        raise StructuredLayersError(
            f'chunk_timeout must be a positive number of seconds, "auto" or None, got '
            f"{shown(chunk_timeout)}"
        )
    if num_actors < 2:
        raise StructuredLayersError(
            f"chunk_timeout={chunk_timeout:g} needs actors, since a process cannot interrupt "
            f"itself: num_actors must be at least 2, got {num_actors}"
        )


def chunk_limit(chunk_timeout: ChunkTimeout, num_steps: int) -> float:
    """Return the seconds that a chunk of at most ``num_steps`` environment steps may take."""
    if chunk_timeout is None:
        return math.inf
    if isinstance(chunk_timeout, str):
        return AUTO_SECONDS + AUTO_SECONDS_PER_STEP * num_steps
    return chunk_timeout
