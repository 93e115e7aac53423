"""The contract of a search space: a vector of K integer decisions."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError


class SearchSpace(ABC):
    """The set of structures a controller chooses from, each a vector of K integer decisions.

    Args:
        num_decisions: K.
        num_edges: T, the length of the topology vector that a decision vector decodes to.
        num_values: how many values an entry of the topology vector can take, from 0 on.
    """

    def __init__(self, num_decisions: int, num_edges: int, num_values: int = 2) -> None:
        """Keep the sizes."""
        self.num_values = num_values
        self.num_decisions = num_decisions
        self.num_edges = num_edges

    @staticmethod
    def of(network: nn.Module, *, num_kept: int | None = None) -> SearchSpace:
        """Return the space of ``network``'s own structures, edges in topology-vector order.

        Args:
            network: chromatic layers of one palette give a :class:`Coloring`, masked layers an
                :class:`EdgeSubset`.
            num_kept: how many edges an :class:`EdgeSubset` keeps.

        Raises:
            StructuredLayersError: a network without structure, or with several kinds of it.
        """
        from .coloring import Coloring
        from .edge_subset import EdgeSubset

        kinds = {n for layer in network.modules() for n in getattr(layer, "topology_names", ())}
        if kinds == {"colors"}:
            if num_kept is not None:
                raise StructuredLayersError("num_kept is for masked networks; this one is coloured")
            return Coloring.from_network(network)
        if kinds == {"mask"}:
            if num_kept is None:
                raise StructuredLayersError("a masked network needs num_kept, the edges to keep")
            return EdgeSubset.from_network(network, num_kept=num_kept)
        raise StructuredLayersError(
            "a search needs a network whose structured layers are all ChromaticLinear or all "
            f"MaskedLinear, got {type(network).__name__} with {sorted(kinds) or 'no structure'}"
        )

    @property
    @abstractmethod
    def log10_size(self) -> float:
        """Decimal logarithm of the number of structures."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n structures uniformly: (n, K) int64."""

    @abstractmethod
    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Return (n, K) structures that each differ from their parent by one choice."""

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
