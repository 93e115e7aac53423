"""Edge sets layer by layer: exactly k of the edges of each layer keep their weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .edge_space import EdgeSpace
from .edge_subset import EdgeSubset
from .side_by_side import SideBySide


@final
class LayerwiseEdgeSubset(EdgeSpace):
    """All sets of edges with so many of each layer.

    The decisions are those of one :class:`EdgeSubset` per layer, each counting edges from 0.

    Args:
        layers: pairs of the number of a layer's edges and the number of those that stay.

    Examples:
        >>> space = LayerwiseEdgeSubset([(256, 32), (64, 32)])
        >>> round(space.log10_size)  # ES-ENAS: 10^59 for Swimmer with 32 hidden units
        59

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), 32+32 edges.
    """

    def __init__(self, layers: Sequence[tuple[int, int]]) -> None:
        """Make the space of every layer."""
        if not layers:
            raise StructuredLayersError("layers must name at least one layer, got none")
        spaces = [_layer(number, sizes) for number, sizes in enumerate(layers)]
        self._parts = SideBySide(spaces)
        super().__init__(self._parts.num_decisions, sum(space.num_edges for space in spaces))

    @property
    def num_kept(self) -> int:
        """The edges that stay, of all layers together."""
        return self.num_decisions

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the product of the layers' binomial coefficients."""
        return sum(space.log10_size for space in self._parts.spaces)

    @property
    def num_choices(self) -> Tensor:
        """Every decision names one of its layer's edges: (K,)."""
        return self._parts.num_choices()

    @property
    def distinct_groups(self) -> list[slice]:
        """The decisions of each layer."""
        return self._parts.distinct_groups()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a uniform set of every layer: (n, K)."""
        return self._parts.sample(n, generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange one kept edge of each row for one of the same layer that was not kept.

        A layer is drawn in proportion to its kept edges, unless it keeps all.
        """
        return self._parts.mutate(decisions, generator)

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the masks (n, T): one where an edge is kept."""
        parts = zip(self._parts.spaces, self._parts.split(decisions), strict=True)
        return torch.cat([space.decode(part) for space, part in parts], dim=1)

    def _check_values(self, decisions: Tensor) -> None:
        self._parts.check(decisions)


def _layer(number: int, sizes: Any) -> EdgeSubset:
    if not isinstance(sizes, Sequence) or len(sizes) != 2:
        raise StructuredLayersError(
            f"layers must be pairs, the edges of a layer and those that stay, such as "
            f"[(256, 32), (64, 32)], got {sizes!r}"
        )
    try:
        return EdgeSubset(*sizes)
    except StructuredLayersError as error:
        raise StructuredLayersError(f"layer {number + 1}: {error}") from error
