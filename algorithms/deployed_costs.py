"""What a structure costs where it is deployed: edges, bits, operations, seconds."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ChromaticLinear, MaskedLinear, StructuredLinear
from structured_layers.metrics import summarize
from structured_layers.topology import vector_to_topology

from .controllers.good_structures import row_keys
from .search_spaces import ColoredEdges, Coloring, EdgeSpace, ProductSpace, SearchSpace

Layer = nn.Linear | StructuredLinear


@dataclass(frozen=True)
class EdgeCount:
    """How many edges the structures of a space have.

    Args:
        space: a colouring, an edge space or a product with one of them.

    Examples:
        >>> from structured_layers.algorithms import EdgeMask
        >>> EdgeCount(EdgeMask(4))(torch.tensor([[1, 0, 1, 1]]))
        tensor([3.], dtype=torch.float64)
    """

    space: SearchSpace

    def __call__(self, decisions: Tensor) -> Tensor:
        """Return the edges of each structure (n, K): (n,)."""
        return _edges(self.space, decisions).double()

    @property
    def constant(self) -> int | None:
        """The edges that every structure has, None if that differs."""
        return _constant_edges(self.space)


def _edges(space: SearchSpace, decisions: Tensor) -> Tensor:
    if isinstance(space, ProductSpace):
        parts = torch.split(decisions, [f.num_decisions for f in space.factors], dim=1)
        pairs = zip(space.factors, parts, strict=True)
        return torch.stack([_edges(factor, part) for factor, part in pairs]).sum(dim=0)
    if isinstance(space, EdgeSpace):
        return space.decode(decisions).sum(dim=1)
    if isinstance(space, (Coloring, ColoredEdges)):
        return (space.decode(decisions) >= 0).sum(dim=1)
    return torch.zeros(len(decisions), dtype=torch.int64)  # such as the activations of units


def _constant_edges(space: SearchSpace) -> int | None:
    if isinstance(space, ProductSpace):
        parts = [_constant_edges(factor) for factor in space.factors]
        numbers = [part for part in parts if part is not None]
        return sum(numbers) if len(numbers) == len(parts) else None
    if isinstance(space, EdgeSpace):
        return space.num_kept
    if isinstance(space, ColoredEdges):
        return space.edges.num_kept
    return space.num_edges if isinstance(space, Coloring) else 0


class BitCount:
    """The bits that store a network, as :func:`~structured_layers.metrics.summarize` counts them.

    A structure is counted once and then remembered, as long as it is among the latest.

    Args:
        network: of the search; it is only read.
        space: its structures.
        scheme: ``"paper"``, ``"bitmask"``, ``"coordinates"`` or ``"entropy"``.
        memory: how many structures are remembered.
    """

    def __init__(
        self, network: nn.Module, space: SearchSpace, *, scheme: str = "bitmask", memory: int = 4096
    ) -> None:
        """Copy the network."""
        known = sorted(summarize(network).bits.keys() - {"seed"})
        if scheme not in known:
            raise StructuredLayersError(f"scheme must be one of {', '.join(known)}, got {scheme!r}")
        self._network, self._space = copy.deepcopy(network), space
        self.scheme, self._memory = scheme, memory
        self._known: dict[bytes, int] = {}

    def __call__(self, decisions: Tensor) -> Tensor:
        """Return the bits of each structure (n, K): (n,)."""
        topologies = self._space.decode(decisions)
        keys = row_keys(topologies)
        bits = [self._bits(key, row) for key, row in zip(keys, topologies, strict=True)]
        return torch.tensor(bits, dtype=torch.float64)

    def _bits(self, key: bytes, topology: Tensor) -> int:
        if key not in self._known:
            vector_to_topology(topology, self._network)
            self._known[key] = summarize(self._network).bits[self.scheme]
            if len(self._known) > self._memory:
                del self._known[next(iter(self._known))]
        return self._known[key]


class Operations(NamedTuple):
    """Multiplications and additions of one decision of each network, (n,) each."""

    multiplies: Tensor
    adds: Tensor


class OperationCount:
    """Counts what one decision takes: a product per weight and unit, a sum per edge.

    The inputs of a unit that share a weight are added first and multiplied once, so that a unit
    multiplies as often as it has different colours. Edges that do not exist cost nothing. Layers
    without discrete structure count as dense, activations are not counted.

    Args:
        network: of the search; it is only read.
        space: its structures.
    """

    def __init__(self, network: nn.Module, space: SearchSpace) -> None:
        """Find the layers and where their structures lie in a topology vector."""
        self._space = space
        self._layers: list[tuple[Layer, int]] = []
        start = 0
        for module in network.modules():
            if isinstance(module, (nn.Linear, StructuredLinear)):
                self._layers.append((module, start))
            names = getattr(module, "topology_names", ())
            start += sum(module.get_buffer(name).numel() for name in names)

    def __call__(self, decisions: Tensor) -> Operations:
        """Return the operations of each structure (n, K)."""
        topologies = self._space.decode(decisions)
        counts = [_operations(layer, topologies[:, start:]) for layer, start in self._layers]
        multiplies, adds = zip(*counts, strict=True)
        return Operations(torch.stack(multiplies).sum(dim=0), torch.stack(adds).sum(dim=0))


def _operations(layer: Layer, topologies: Tensor) -> tuple[Tensor, Tensor]:
    """Return the multiplications and additions (n,) of a layer whose structure comes first."""
    n, shape = len(topologies), (layer.out_features, layer.in_features)
    exists = torch.ones(n, *shape, dtype=torch.bool)
    if isinstance(layer, (ChromaticLinear, MaskedLinear)) and layer.topology_names:
        entries = topologies[:, : shape[0] * shape[1]].view(n, *shape)
        exists = entries >= 0 if isinstance(layer, ChromaticLinear) else entries > 0
    edges = exists.sum(dim=2)  # of each unit, (n, out)
    adds = (edges - 1).clamp(min=0)
    if layer.bias is not None:
        adds = adds + (edges > 0)
    products = edges
    if isinstance(layer, ChromaticLinear):
        colors = entries if layer.topology_names else layer.colors.expand(n, *shape)
        products = _distinct(colors, layer.values.numel())
    return products.sum(dim=1).double(), adds.sum(dim=1).double()


def _distinct(colors: Tensor, num_colors: int) -> Tensor:
    """Return how many colours each unit has: (n, out, in) → (n, out)."""
    seen = torch.zeros(*colors.shape[:2], num_colors + 1, dtype=torch.bool)
    places = torch.where(colors >= 0, colors, num_colors).long()
    return seen.scatter_(2, places, True)[..., :num_colors].sum(dim=2)


class MultiplicationCount:
    """The multiplications of one decision, see :class:`OperationCount`.

    Args:
        network: of the search; it is only read.
        space: its structures.
    """

    def __init__(self, network: nn.Module, space: SearchSpace) -> None:
        """Find the layers."""
        self._operations = OperationCount(network, space)

    def __call__(self, decisions: Tensor) -> Tensor:
        """Return the multiplications of each structure (n, K): (n,)."""
        return self._operations(decisions).multiplies


class Latency:
    """A model of the time that a decision takes: a·multiplies + b·adds + c.

    Args:
        network: of the search; it is only read.
        space: its structures.
        multiply: a, seconds of a multiplication.
        add: b, seconds of an addition.
        overhead: c, seconds that every decision takes.
    """

    def __init__(
        self,
        network: nn.Module,
        space: SearchSpace,
        *,
        multiply: float,
        add: float,
        overhead: float = 0.0,
    ) -> None:
        """Check the constants."""
        self._operations = OperationCount(network, space)
        constants = {"multiply": multiply, "add": add, "overhead": overhead}
        for name, value in constants.items():
            if not 0 <= value < float("inf"):
                raise StructuredLayersError(f"{name} must be seconds of at least 0, got {value}")
        self.multiply, self.add, self.overhead = multiply, add, overhead

    def __call__(self, decisions: Tensor) -> Tensor:
        """Return the seconds of each structure (n, K): (n,)."""
        multiplies, adds = self._operations(decisions)
        return self.multiply * multiplies + self.add * adds + self.overhead
