"""Coloured edge sets: every edge takes one of M shared weights or does not exist."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .base import SearchSpace
from .coloring import Coloring
from .edge_space import EdgeSpace
from .side_by_side import SideBySide, draw_factors

REMOVED = -1


@final
class ColoredEdges(SearchSpace):
    """All edge sets of a space with all colourings of their edges.

    The decisions are those of the colouring, then those of the edge space. A removed edge keeps its
    colour among the decisions, and shows it again when it returns; decoded, its colour is -1.

    Args:
        coloring: of all edges.
        edges: which edges may exist together.

    Examples:
        >>> from structured_layers.algorithms.search_spaces import EdgeSubset
        >>> space = ColoredEdges(Coloring(3, num_colors=5), EdgeSubset(3, num_kept=1))
        >>> space.decode(torch.tensor([[4, 0, 2, 2]]))  # three colours, and the edge that stays
        tensor([[-1, -1,  2]])
    """

    def __init__(self, coloring: Coloring, edges: EdgeSpace) -> None:
        """Check that both are about the same edges."""
        if coloring.num_edges != edges.num_edges:
            raise StructuredLayersError(
                f"a mask removes edges of a colouring of as many edges, got one over "
                f"{edges.num_edges} edges and a colouring of {coloring.num_edges}"
            )
        self.coloring, self.edges = coloring, edges
        self._parts = SideBySide([coloring, edges])
        super().__init__(self._parts.num_decisions, edges.num_edges, coloring.num_colors + 1)

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the number of topology vectors; hidden colours do not count."""
        num_kept, num_colors = self.edges.num_kept, self.coloring.num_colors
        if num_kept is None:
            return self.num_edges * math.log10(num_colors + 1)
        return self.edges.log10_size + num_kept * math.log10(num_colors)

    @property
    def num_choices(self) -> Tensor:
        """Those of the colouring, then those of the edge space: (K,)."""
        return self._parts.num_choices()

    @property
    def distinct_groups(self) -> list[slice]:
        """Those of the edge space."""
        return self._parts.distinct_groups()

    def _details(self) -> list[str]:
        return [self.coloring.fingerprint, self.edges.fingerprint]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a uniform colouring and a uniform mask, independently: (n, K).

        With a fixed number of edges the decoded structures are uniform too. Under an
        :class:`EdgeMask` every edge is missing with probability one half, whatever the palette.
        """
        return self._parts.sample(n, generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Recolour an edge that exists, or change the mask by one choice.

        Which of both is drawn in proportion to the edges that exist and the decisions of the mask,
        so that no child looks like its parent.
        """
        children = decisions.clone()
        if self.log10_size == 0:
            return children
        colors, masks = self._parts.split(decisions)
        kept = self.edges.decode(masks)  # (n, T)
        in_mask = self._draw_mask_mutants(kept, generator)
        in_colors = ~in_mask
        of_colors, of_mask = self._parts.columns
        children[in_mask, of_mask] = self.edges.mutate(masks[in_mask], generator)
        if bool(in_colors.any()):
            recolored = self._recolor(colors[in_colors], kept[in_colors], generator)
            children[in_colors, of_colors] = recolored
        return children

    def _draw_mask_mutants(self, kept: Tensor, generator: torch.Generator) -> Tensor:
        """Draw whether the mask mutates, not the colours: (n,) bool."""
        colors = kept.sum(dim=1) * (self.coloring.num_colors > 1)
        mask = torch.full_like(colors, self.edges.num_decisions * (self.edges.log10_size > 0))
        return draw_factors(torch.stack([colors, mask], dim=1), generator).bool()

    def _recolor(self, colors: Tensor, kept: Tensor, generator: torch.Generator) -> Tensor:
        """Give one kept edge of each row (n, T) another colour."""
        edge = draw_factors(kept, generator)[:, None]
        shift = torch.randint(1, self.coloring.num_colors, edge.shape, generator=generator)
        recolored = (colors.gather(1, edge) + shift) % self.coloring.num_colors
        return colors.scatter(1, edge, recolored)

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the colours (n, T), -1 where an edge does not exist."""
        colors, masks = self._parts.split(decisions)
        kept = self.edges.decode(masks).bool()
        return torch.where(kept, self.coloring.decode(colors), REMOVED)

    def _check_values(self, decisions: Tensor) -> None:
        self._parts.check(decisions)
