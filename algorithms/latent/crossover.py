"""Ways to make one vector of weights, or of latent codes, out of two parents'."""

from __future__ import annotations

import torch
from torch import Tensor

from ..offspring import Crossover


def uniform(first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """Take every entry from one of the parents, with equal probability."""
    is_first = torch.rand(first.shape, generator=generator) < 0.5
    return torch.where(is_first, first, second)


def arithmetic(first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """Return a point of the line between the parents, its place drawn uniformly."""
    share = torch.rand((), generator=generator, dtype=first.dtype)
    return torch.lerp(second, first, share)


def one_point(first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """Take the entries before a drawn place from one parent, the others from the other."""
    place = int(torch.randint(len(first) + 1, (), generator=generator))
    return torch.cat([first[:place], second[place:]])


CROSSOVERS: dict[str, Crossover] = {
    "uniform": uniform,
    "arithmetic": arithmetic,
    "one_point": one_point,
}
