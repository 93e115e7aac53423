"""Several spaces whose decisions stand side by side in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from .base import SearchSpace


@final
class SideBySide:
    """The parts of a space of several factors.

    Args:
        spaces: the factors, whose decisions follow each other.
    """

    def __init__(self, spaces: Sequence[SearchSpace]) -> None:
        """Say which columns are whose."""
        self.spaces = tuple(spaces)
        stops = torch.tensor([space.num_decisions for space in self.spaces]).cumsum(0).tolist()
        self.columns = [slice(*pair) for pair in zip([0, *stops], stops, strict=False)]
        self.num_decisions = int(stops[-1])

    def split(self, decisions: Tensor) -> list[Tensor]:
        """Return each factor's decisions (n, K_f)."""
        return [decisions[:, columns] for columns in self.columns]

    def num_choices(self) -> Tensor:
        """Return how many values each decision can take, (K,)."""
        return torch.cat([space.num_choices for space in self.spaces])

    def distinct_groups(self) -> list[slice]:
        """Return the groups of distinct decisions of all factors."""
        return [
            slice(group.start + columns.start, group.stop + columns.start)
            for space, columns in zip(self.spaces, self.columns, strict=True)
            for group in space.distinct_groups
        ]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw from every factor: (n, K)."""
        return torch.cat([space.sample(n, generator) for space in self.spaces], dim=1)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Mutate one factor of each row, drawn in proportion to its number of decisions."""
        weights = [space.num_decisions * (space.log10_size > 0) for space in self.spaces]
        if not any(weights):
            return decisions.clone()
        chosen = draw_factors(torch.tensor(weights).expand(len(decisions), -1), generator)
        children = decisions.clone()
        for number, (space, columns) in enumerate(zip(self.spaces, self.columns, strict=True)):
            rows = torch.nonzero(chosen == number).flatten()
            children[rows, columns] = space.mutate(decisions[rows, columns], generator)
        return children

    def check(self, decisions: Tensor) -> None:
        """Raise StructuredLayersError unless every factor takes its decisions."""
        for space, part in zip(self.spaces, self.split(decisions), strict=True):
            space.check(part)


def draw_factors(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a factor for each row.

    Args:
        weights: (n, F), each row with a positive entry; the factors are drawn in proportion to it.
        generator: of the draws.

    Returns:
        (n,) the positions of the factors.
    """
    return torch.multinomial(weights.double(), 1, generator=generator)[:, 0]
