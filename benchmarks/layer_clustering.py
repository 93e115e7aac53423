"""How long the projection of a large dense layer to few colours takes."""

from __future__ import annotations

import time

from torch import nn

from structured_layers import convert_


def projection_seconds(size: int, num_colors: int) -> float:
    """Return the seconds of one conversion of a square dense layer to a palette."""
    network = nn.Sequential(nn.Linear(size, size))
    start = time.perf_counter()
    convert_(network, "chromatic", num_colors=num_colors)
    return time.perf_counter() - start
