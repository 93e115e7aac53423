"""Activations: every unit takes one of several non-linearities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError
from structured_layers.layers.activations import KINDS

from ..argument_checks import check_integer
from .base import SearchSpace
from .value_range import check_range


@final
class UnitActivationChoice(SearchSpace):
    """All maps from units to non-linearities; there are ``len(kinds) ** num_units``.

    Args:
        num_units: K, which is T here: one decision per unit, the position in ``kinds``.
        kinds: names of the non-linearities, each one once; by default all that
            :class:`~structured_layers.UnitActivations` knows.

    Attributes:
        kinds: the names.

    Examples:
        >>> import torch
        >>> space = UnitActivationChoice(num_units=32)
        >>> round(space.log10_size, 1)
        33.3
        >>> UnitActivationChoice(2, ["relu", "step"]).decode(torch.tensor([[0, 1]]))
        tensor([[ 1, 10]])

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415); Gaier & Ha, Weight Agnostic Neural Networks,
        2019.
    """

    def __init__(self, num_units: int, kinds: Sequence[str] = KINDS) -> None:
        """Check the size and the names."""
        check_integer("num_units", num_units, 1)
        self.kinds = check_kinds(kinds)
        self._positions = torch.tensor([KINDS.index(kind) for kind in self.kinds])
        super().__init__(num_units, num_units, len(KINDS))

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of ``len(kinds) ** num_units``."""
        return self.num_edges * math.log10(len(self.kinds))

    @property
    def num_choices(self) -> Tensor:
        """Every unit takes one of ``kinds``: (K,)."""
        return torch.full((self.num_decisions,), len(self.kinds))

    def _details(self) -> list[str]:
        return list(self.kinds)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a non-linearity for every unit, independently and uniformly: (n, K)."""
        return torch.randint(len(self.kinds), (n, self.num_decisions), generator=generator)

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Give one unit of each row another non-linearity."""
        if len(self.kinds) == 1:
            return decisions.clone()
        n = len(decisions)
        unit = torch.randint(self.num_decisions, (n, 1), generator=generator)
        shift = torch.randint(1, len(self.kinds), (n, 1), generator=generator)
        return decisions.scatter(1, unit, (decisions.gather(1, unit) + shift) % len(self.kinds))

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the positions (n, T) of the non-linearities among all there are."""
        return self._positions[decisions]

    def _check_values(self, decisions: Tensor) -> None:
        check_range("activations", decisions, len(self.kinds))


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the names of non-linearities as a tuple, if they are known and distinct.

    Raises:
        StructuredLayersError: an unknown name, one that comes twice, or no sequence of names.
    """
    if isinstance(kinds, str) or not isinstance(kinds, Sequence):
        raise StructuredLayersError(
            f"activations must be a sequence of names such as ['tanh', 'relu'], got {kinds!r}"
        )
    names = list(kinds)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise StructuredLayersError(
            f"activations must be among {', '.join(KINDS)}, got {', '.join(map(repr, unknown))}"
        )
    if not names or len(set(names)) < len(names):
        raise StructuredLayersError(
            f"activations must name at least one non-linearity, and each one once, got {names}"
        )
    return tuple(names)
