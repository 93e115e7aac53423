"""Colourings: every edge takes one of M shared weights."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ChromaticLinear

from ..argument_checks import check_integer
from .base import SearchSpace
from .value_range import check_range


@final
class Coloring(SearchSpace):
    """All maps from edges to colours; there are ``num_colors ** num_edges``.

    Args:
        num_edges: K, which is T here: one decision per edge.
        num_colors: M.

    Examples:
        >>> import torch
        >>> space = Coloring(num_edges=16, num_colors=8)
        >>> round(space.log10_size, 1)  # ES-ENAS: 10^14.4 for Swimmer's linear policy
        14.4
        >>> space.sample(2, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 16])

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), weight sharing.
    """

    def __init__(self, num_edges: int, num_colors: int) -> None:
        """Check the sizes."""
        check_integer("num_edges", num_edges, 1)
        check_integer("num_colors", num_colors, 1)
        super().__init__(num_edges, num_edges, num_colors)
        self.num_colors = int(num_colors)

    @classmethod
    def from_network(cls, network: nn.Module) -> Coloring:
        """Return the colourings of a network whose chromatic layers share one palette."""
        layers = [layer for layer in network.modules() if isinstance(layer, ChromaticLinear)]
        palettes = {id(layer.values) for layer in layers}
        if len(palettes) != 1:
            raise StructuredLayersError(
                f"a colouring needs chromatic layers of one palette, got {len(layers)} layers with "
                f"{len(palettes)} palettes; build them with the same Palette object"
            )
        sizes = [layer.colors.numel() for layer in layers if layer.topology_names]
        return cls(sum(sizes), layers[0].values.numel())

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of ``num_colors ** num_edges``."""
        return self.num_edges * math.log10(self.num_colors)

    @property
    def num_choices(self) -> Tensor:
        """Every edge takes one of ``num_colors`` colours: (K,)."""
        return torch.full((self.num_decisions,), self.num_colors)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a colour for every edge, independently and uniformly: (n, K)."""
        return torch.randint(self.num_colors, (n, self.num_decisions), generator=generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Give one edge of each row another colour."""
        children = decisions.clone()
        if self.num_colors == 1:
            return children
        n = len(decisions)
        edge = torch.randint(self.num_decisions, (n, 1), generator=generator)
        shift = torch.randint(1, self.num_colors, (n, 1), generator=generator)
        colors = (children.gather(1, edge) + shift) % self.num_colors
        return children.scatter_(1, edge, colors)

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the decisions: they are the topology vector."""
        return decisions

    def _check_values(self, decisions: Tensor) -> None:
        check_range("colours", decisions, self.num_colors)
