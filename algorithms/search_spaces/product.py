"""Products: a structure of each of several spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .base import SearchSpace
from .colored_edges import ColoredEdges
from .coloring import Coloring
from .edge_space import EdgeSpace
from .side_by_side import SideBySide

Positions = Sequence[int] | Tensor


@final
class ProductSpace(SearchSpace):
    """All combinations of structures of several spaces.

    The decisions of the factors follow each other. Where their entries lie in the topology vector
    is up to ``positions``, since the buffers of a network interleave: the activations of a layer
    come before the edges of the next one. :meth:`SearchSpace.of` knows the places.

    Args:
        factors: the spaces; factors that are products give their own factors.
        positions: for each factor where its T_f entries lie; None puts them one after the other,
            and a mask onto the colouring of the same edges, as :class:`ColoredEdges`.

    Attributes:
        factors: the spaces, without products among them.

    Examples:
        >>> from structured_layers.algorithms.search_spaces import EdgeMask, UnitActivationChoice
        >>> space = Coloring(16, num_colors=8) * UnitActivationChoice(2, ["tanh", "relu"])
        >>> space.num_decisions, space.num_edges
        (18, 18)
        >>> (Coloring(16, num_colors=8) * EdgeMask(16)).factors[0].num_edges
        16
    """

    def __init__(
        self, factors: Sequence[SearchSpace], *, positions: Sequence[Positions] | None = None
    ) -> None:
        """Place the factors."""
        if not factors:
            raise StructuredLayersError("a product needs at least one factor, got none")
        if positions is None:
            factors, positions = _placed(factors)
        self.factors = tuple(factors)
        self._positions = [torch.as_tensor(places) for places in positions]
        _check_positions(self.factors, self._positions)
        self._parts = SideBySide(self.factors)
        super().__init__(
            self._parts.num_decisions,
            sum(factor.num_edges for factor in self.factors),
            max(factor.num_values for factor in self.factors),
        )

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the product of the factors' sizes."""
        return sum(factor.log10_size for factor in self.factors)

    @property
    def num_choices(self) -> Tensor:
        """Those of the factors: (K,)."""
        return self._parts.num_choices()

    @property
    def distinct_groups(self) -> list[slice]:
        """Those of the factors."""
        return self._parts.distinct_groups()

    def _details(self) -> list[Any]:
        places = [positions.tolist() for positions in self._positions]
        return [[factor.fingerprint for factor in self.factors], places]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw from every factor independently: (n, K)."""
        return self._parts.sample(n, generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Mutate one factor of each row, drawn in proportion to its number of decisions."""
        return self._parts.mutate(decisions, generator)

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the topology vectors (n, T), each factor's entries in their places."""
        topologies = torch.empty(len(decisions), self.num_edges, dtype=torch.int64)
        parts = self._parts.split(decisions)
        for factor, places, part in zip(self.factors, self._positions, parts, strict=True):
            topologies[:, places] = factor.decode(part)
        return topologies

    def _check_values(self, decisions: Tensor) -> None:
        self._parts.check(decisions)


def _placed(factors: Sequence[SearchSpace]) -> tuple[list[SearchSpace], list[Tensor]]:
    """Return the factors of all factors with their places, a mask joined to its colouring."""
    placed: list[tuple[SearchSpace, Tensor]] = []
    start = 0
    for factor in factors:
        if isinstance(factor, ProductSpace):
            shifted = [places + start for places in factor._positions]
            placed += zip(factor.factors, shifted, strict=True)
        else:
            placed.append((factor, torch.arange(start, start + factor.num_edges)))
        start += factor.num_edges
    placed = _joined(placed)
    taken = torch.cat([places for _, places in placed]).sort().values
    return [factor for factor, _ in placed], [torch.searchsorted(taken, p) for _, p in placed]


def _joined(placed: list[tuple[SearchSpace, Tensor]]) -> list[tuple[SearchSpace, Tensor]]:
    """Put the first mask onto the first colouring, if there are both; it takes no place then."""
    coloring = next((f for f, _ in placed if isinstance(f, Coloring)), None)
    mask = next((f for f, _ in placed if isinstance(f, EdgeSpace)), None)
    if coloring is None or mask is None:
        return placed
    joined = ColoredEdges(coloring, mask)
    return [(joined if f is coloring else f, p) for f, p in placed if f is not mask]


def _check_positions(factors: Sequence[SearchSpace], positions: list[Tensor]) -> None:
    sizes, given = [factor.num_edges for factor in factors], [p.numel() for p in positions]
    total = sum(sizes)
    if sizes != given or torch.cat(positions).sort().values.tolist() != list(range(total)):
        raise StructuredLayersError(
            f"positions must give the factors {sizes} places, which are all of 0..{total - 1} and "
            f"each one once, got {given} places"
        )
