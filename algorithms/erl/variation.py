"""How ERL makes new actors of old ones: neurons are swapped, single weights are disturbed.

After Khadka and Tumer, Evolution-guided policy gradient in reinforcement learning (arXiv
1805.07917), Algorithms 2 and 3. Where this differs from the paper, :class:`Mutation` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_positive
from ..latent.crossover import CROSSOVERS as VECTOR_CROSSOVERS
from .layout import Block

CROSSOVERS = ("neurons", *VECTOR_CROSSOVERS)


@dataclass(frozen=True)
class Mutation:
    """What a mutation does to the weights of one actor.

    The paper disturbs a tenth of the entries of each weight matrix, drawn with replacement, and no
    biases; its strong mutations are 100 times as strong. Here each entry of each parameter changes
    with probability ``share``, biases and codes too.

    Attributes:
        probability: with which an actor is mutated at all.
        share: of its entries that change, each drawn on its own.
        strength: standard deviation of the change, relative to a weight's own size; for latent
            codes, which are in units of their spread, absolute.
        super_probability: of an entry that changes, to change more strongly.
        super_strength: how many times as strongly; the paper has 100.
        reset_probability: of an entry that changes, to be drawn anew from N(0, 1).
    """

    probability: float = 0.9
    share: float = 0.1
    strength: float = 0.1
    super_probability: float = 0.05
    super_strength: float = 10.0
    reset_probability: float = 0.05

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("probability", "share", "super_probability", "reset_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise StructuredLayersError(f"{name} must be between 0 and 1, got {value!r}")
        for name in ("strength", "super_strength"):
            check_positive(name, getattr(self, name))
        if self.super_probability + self.reset_probability > 1:
            raise StructuredLayersError(
                "super_probability and reset_probability must sum to at most 1, got "
                f"{self.super_probability} and {self.reset_probability}"
            )


def mutate(
    vector: Tensor, layout: Sequence[Block], mutation: Mutation, generator: torch.Generator
) -> Tensor:
    """Return a mutated copy.

    Args:
        vector: (d,)
        layout: of its entries.
        mutation: how much changes. Its ``probability`` is for whoever calls.
        generator: of the draws.
    """
    noise = torch.randn(vector.shape, generator=generator, dtype=vector.dtype)
    chosen = torch.rand(vector.shape, generator=generator) < mutation.share
    kind = torch.rand(vector.shape, generator=generator)
    scale = vector.abs()
    for block in layout:
        if block.is_code:
            scale[block.start : block.stop] = 1.0
    is_super = kind < mutation.super_probability
    is_reset = kind >= 1 - mutation.reset_probability
    strong = mutation.super_strength * mutation.strength
    strength = torch.where(is_super, strong, mutation.strength)
    changed = vector + strength * scale * noise  # ~ N(w, (strength·|w|)²)
    changed = torch.where(is_reset, noise, changed)
    return torch.where(chosen, changed, vector)


def cross(
    first: Tensor,
    second: Tensor,
    layout: Sequence[Block],
    kind: str,
    generator: torch.Generator,
) -> Tensor:
    """Return a child of two parents.

    Args:
        first: (d,)
        second: (d,)
        layout: of their entries.
        kind: ``neurons`` takes each row of each parameter from one of the parents; the others are
            those of :mod:`structured_layers.algorithms.latent.crossover`.
        generator: of the draws.
    """
    if kind != "neurons":
        return VECTOR_CROSSOVERS[kind](first, second, generator)
    parts = [_cross_rows(first, second, block, generator) for block in layout]
    return torch.cat(parts) if parts else first.clone()


def _cross_rows(first: Tensor, second: Tensor, block: Block, generator: torch.Generator) -> Tensor:
    is_first = torch.rand(block.rows, generator=generator) < 0.5
    entries = is_first.repeat_interleave(block.width)
    part = slice(block.start, block.stop)
    return torch.where(entries, first[part], second[part])
