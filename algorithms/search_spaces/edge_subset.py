"""Edge sets: exactly k of all edges keep their weight."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import MaskedLinear

from ..argument_checks import check_integer
from .edge_space import EdgeSpace
from .value_range import check_range


@final
class EdgeSubset(EdgeSpace):
    """All sets of ``num_kept`` out of ``num_edges`` edges, as distinct edge indices.

    Args:
        num_edges: T, all edges of the network.
        num_kept: K, the edges that stay.

    Examples:
        >>> space = EdgeSubset(num_edges=320, num_kept=64)
        >>> round(space.log10_size, 1)  # ES-ENAS: 10^68.3 for Swimmer with 32 hidden units
        68.3

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), edge pruning.
    """

    def __init__(self, num_edges: int, num_kept: int) -> None:
        """Check the sizes."""
        check_integer("num_edges", num_edges, 1)
        check_integer("num_kept", num_kept, 1, int(num_edges), ", the number of edges")
        super().__init__(num_kept, num_edges)

    @classmethod
    def from_network(cls, network: nn.Module, *, num_kept: int) -> EdgeSubset:
        """Return the sets of ``num_kept`` edges of a network of masked layers."""
        layers = [layer for layer in network.modules() if isinstance(layer, MaskedLinear)]
        return cls(sum(layer.mask.numel() for layer in layers if layer.topology_names), num_kept)

    @property
    def num_kept(self) -> int:
        """The edges that stay."""
        return self.num_decisions

    @property
    def log10_size(self) -> float:
        """Decimal logarithm of the binomial coefficient (num_edges choose num_kept)."""
        n, k = self.num_edges, self.num_decisions
        log_size = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        return log_size / math.log(10)

    @property
    def num_choices(self) -> Tensor:
        """Every decision names one of all edges: (K,)."""
        return torch.full((self.num_decisions,), self.num_edges)

    @property
    def distinct_groups(self) -> list[slice]:
        """All decisions: a set holds no edge twice."""
        return [slice(0, self.num_decisions)]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw uniform sets, each as ascending indices: (n, K)."""
        scores = torch.rand(n, self.num_edges, generator=generator)
        return scores.topk(self.num_decisions, dim=1).indices.sort(dim=1).values

    def mutate(self, decisions: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange one kept edge of each row for one that was not kept."""
        if self.num_decisions == self.num_edges:
            return decisions.clone()
        n = len(decisions)
        position = torch.randint(self.num_decisions, (n, 1), generator=generator)
        scores = torch.rand(n, self.num_edges, generator=generator).scatter_(1, decisions, -1.0)
        children = decisions.scatter(1, position, scores.argmax(dim=1, keepdim=True))
        return children.sort(dim=1).values

    def decode(self, decisions: Tensor) -> Tensor:
        """Return the masks (n, T): one where an edge is kept."""
        masks = torch.zeros(len(decisions), self.num_edges, dtype=torch.int64)
        return masks.scatter_(1, decisions, 1)

    def _check_values(self, decisions: Tensor) -> None:
        check_range("edges", decisions, self.num_edges)
        ordered = decisions.sort(dim=1).values
        if bool((ordered[:, 1:] == ordered[:, :-1]).any()):
            raise StructuredLayersError("the edges of one set must be distinct, got repeated ones")
