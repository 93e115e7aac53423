"""The contract of a search space: a vector of K integer decisions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

if TYPE_CHECKING:
    from .product import ProductSpace


class SearchSpace(ABC):
    """The set of structures a controller chooses from, each a vector of K integer decisions.

    ``space * other`` is the product of two spaces, see :class:`ProductSpace`.

    Args:
        num_decisions: K.
        num_edges: T, the length of the topology vector that a decision vector decodes to.
        num_values: how many values an entry of the topology vector can take, from 0 on; -1, an edge
            that a colouring leaves out, counts as the last one.
    """

    def __init__(self, num_decisions: int, num_edges: int, num_values: int = 2) -> None:
        """Keep the sizes."""
        self.num_values = num_values
        self.num_decisions = num_decisions
        self.num_edges = num_edges

    @staticmethod
    def of(
        network: nn.Module,
        *,
        num_kept: int | Sequence[int] | Literal["any"] | None = None,
        activations: Sequence[str] | None = None,
    ) -> SearchSpace:
        """Return the space of ``network``'s own structures, edges in topology-vector order.

        Args:
            network: chromatic layers of one palette are coloured, masked layers give an
                :class:`EdgeSpace`; a non-linearity is chosen for each unit of its
                :class:`UnitActivations`.
            num_kept: how many edges stay, of all layers or of each one; ``"any"`` for a boolean
                mask. Masked layers need it; None keeps all edges of chromatic ones.
            activations: names of the non-linearities that units choose from; None is all of them.

        Raises:
            StructuredLayersError: a network that has one structure only, or layers of several
                kinds.
        """
        from .network_space import network_space

        return network_space(network, num_kept, activations)

    def __mul__(self, other: SearchSpace) -> ProductSpace:
        """Return the space of pairs of structures, the mask of a colouring among them."""
        from .product import ProductSpace

        return ProductSpace([self, other])

    @property
    @abstractmethod
    def log10_size(self) -> float:
        """Decimal logarithm of the number of structures."""

    @property
    @abstractmethod
    def num_choices(self) -> Tensor:
        """How many values each decision can take, from 0 on: (K,) int64."""

    @property
    def distinct_groups(self) -> list[slice]:
        """The groups of decisions that differ from each other and are stored ascending."""
        return []

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n decision vectors uniformly: (n, K) int64."""

    @abstractmethod
    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Return (n, K) structures that each differ from their parent by one choice.

        A space of one structure returns copies.
        """

    @abstractmethod
    def decode(self, decisions: Tensor) -> Tensor:
        """Return the topology vectors (n, T) int64 of the decisions (n, K)."""

    @abstractmethod
    def _check_values(self, decisions: Tensor) -> None:
        """Raise if a row of ``decisions`` is not a member."""

    def check(self, decisions: Tensor) -> None:
        """Raise StructuredLayersError unless every row of (n, K) is a member of the space."""
        if decisions.ndim != 2 or decisions.shape[1] != self.num_decisions:
            raise StructuredLayersError(
                f"decisions must have shape (n, {self.num_decisions}), got {tuple(decisions.shape)}"
            )
        if decisions.is_floating_point():
            raise StructuredLayersError(f"decisions must be integers, got {decisions.dtype}")
        self._check_values(decisions)
