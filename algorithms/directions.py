"""The directions in which a search senses the gradient: pure functions of a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gaussian(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Return independent directions ε_i ~ N(0, I).

    Returns:
        (num_directions, dimension)
    """
    return torch.randn(num_directions, dimension, generator=generator, dtype=dtype)


DIRECTIONS: dict[str, Callable[[int, int, torch.Generator, torch.dtype], Tensor]] = {
    "gaussian": gaussian
}
