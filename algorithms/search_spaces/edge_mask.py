"""Boolean masks: every edge exists or not."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from ..argument_checks import check_integer
from .edge_space import EdgeSpace
from .value_range import check_range


@final
class EdgeMask(EdgeSpace):
    """All sets of edges, the empty one included; there are ``2 ** num_edges``.

    Args:
        num_edges: K, which is T here: one decision per edge.

    Examples:
        >>> space = EdgeMask(num_edges=16)
        >>> round(space.log10_size, 1)  # Swimmer's linear policy
        4.8

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Section 5.7.
    """

    def __init__(self, num_edges: int) -> None:
        """Check the size."""
        check_integer("num_edges", num_edges, 1)
        super().__init__(num_edges, num_edges)

    @property
    def num_kept(self) -> None:
        """None: masks keep any number of edges."""
        return None

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of ``2 ** num_edges``."""
        return self.num_edges * math.log10(2)

    @property
    def num_choices(self) -> Tensor:
        """Every edge exists or not: (K,)."""
        return torch.full((self.num_decisions,), 2)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Keep every edge with probability one half: (n, K)."""
        return torch.randint(2, (n, self.num_decisions), generator=generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Add one edge to each row, or take one away."""
        edge = torch.randint(self.num_decisions, (len(decisions), 1), generator=generator)
        return decisions.scatter(1, edge, 1 - decisions.gather(1, edge))

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the decisions: they are the mask."""
        return decisions

    def _check_values(self, decisions: Tensor) -> None:
        check_range("the entries of a mask", decisions, 2)
