"""The contract of a search space: a vector of K integer decisions."""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

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
        self.num_values = int(num_values)
        self.num_decisions = int(num_decisions)
        self.num_edges = int(num_edges)

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

    @cached_property
    def fingerprint(self) -> str:
        """What tells this space from another: its kind, K, and a digest of what decisions mean."""
        groups = [[group.start, group.stop] for group in self.distinct_groups]
        sizes = [self.num_edges, self.num_values, self.num_choices.tolist()]
        kind = type(self).__name__
        text = json.dumps([kind, sizes, groups, self._details()])
        return f"{kind} of {self.num_decisions} decisions ({zlib.crc32(text.encode()):08x})"

    def _details(self) -> Any:
        """Return what the fingerprint needs beyond sizes and groups: plain values."""
        return None

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

    def canonical(self, decisions: Tensor) -> Tensor:
        """Return a copy of decisions (n, K) as they are stored: int64, distinct ones ascending."""
        stored = decisions.detach().to(torch.int64, copy=True)
        for group in self.distinct_groups:
            stored[:, group] = stored[:, group].sort(dim=1).values
        return stored

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
