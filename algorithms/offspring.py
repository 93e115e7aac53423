"""The children of one generation, as their parents and the seeds that they are born with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .perturbation import Perturbation

Crossover = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""From two parents (d,) and a generator to a child (d,)."""


@dataclass(frozen=True)
class Birth:
    """How one child comes about.

    Attributes:
        parents: one that is mutated, or two that are crossed before.
        seed: of the crossover and the mutation.
        stdev: σ of the mutation; None of a child that is its parent.
    """

    parents: tuple[int, ...]
    seed: int = 0
    stdev: float | None = None


def child_of(
    parents: Sequence[Tensor], birth: Birth, scales: Tensor, crossover: Crossover | None
) -> Tensor:
    """Return a child's weights (d,): its parent, or both crossed, plus σ s ⊙ ε, ε ~ N(0, I).

    Args:
        parents: (d,) each, one or two.
        birth: the seed and σ.
        scales: s, (d,).
        crossover: of two parents.

    Raises:
        StructuredLayersError: the crossover made something else than (d,) numbers of their type.
    """
    weights = parents[0]
    if birth.stdev is None:
        return weights
    generator = torch.Generator().manual_seed(birth.seed)
    if len(parents) == 2 and crossover is not None:
        weights = _crossed(crossover, parents, generator)
    noise = torch.randn(len(weights), generator=generator, dtype=weights.dtype)
    return weights + birth.stdev * (scales * noise)


def _crossed(crossover: Crossover, parents: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    first, second = (parent.clone() for parent in parents)  # it may work in place
    child = crossover(first, second, generator)
    is_tensor = isinstance(child, Tensor)
    if not is_tensor or child.shape != parents[0].shape or child.dtype != parents[0].dtype:
        got = f"{tuple(child.shape)}, {child.dtype}" if is_tensor else repr(child)
        raise StructuredLayersError(
            f"a crossover must return a tensor like its parents, {tuple(parents[0].shape)}, "
            f"{parents[0].dtype}, got {got}"
        )
    return child


@dataclass(frozen=True)
class Offspring:
    """A generation that whoever holds the parents can make, to the same bits.

    It travels to other processes instead of the candidates, as a
    :class:`~structured_layers.algorithms.perturbation.Perturbation` does.

    Args:
        center: what all children are made of, (1 + P, d): s, and the weights of the parents.
        births: of the children; their parents are numbered from 0.
        crossover: of two parents.
    """

    center: Tensor
    births: tuple[Birth, ...]
    crossover: Crossover | None = None

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the children ``start`` to ``stop``, (stop − start, d)."""
        scales, parents = self.center[0], self.center[1:]
        children = [
            child_of([parents[i] for i in birth.parents], birth, scales, self.crossover)
            for birth in self.births[start:stop]
        ]
        return torch.stack(children)


Described = Perturbation | Offspring
"""Candidates as the few numbers that they follow from."""
