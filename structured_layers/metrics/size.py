"""The size of a network as the papers count it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, MaskedLinear, StructuredLinear


@dataclass(frozen=True)
class Size:
    """The counts of a network and what follows from them.

    Attributes:
        edges: E, entries of all weight matrices.
        weights: K, distinct trained weights, biases not counted; of masked layers the survivors.
        hidden_biases: h, biases of all layers but the last.
        output_biases: biases of the last layer.
        index_bits: bits that say which weight an edge has, E·⌈log2 K⌉ for chromatic networks.
    """

    edges: int
    weights: int
    hidden_biases: int
    output_biases: int
    index_bits: int

    @property
    def biases(self) -> int:
        """All biases."""
        return self.hidden_biases + self.output_biases

    @property
    def compression(self) -> float:
        """1 − (K + h)/(E + h), as the papers print it: output biases are not counted."""
        h = self.hidden_biases
        return 1 - (self.weights + h) / (self.edges + h)

    @property
    def bits(self) -> int:
        """32·(K + h) plus the index bits, as the papers print it: output biases are not counted."""
        return 32 * (self.weights + self.hidden_biases) + self.index_bits


def size_of(network: nn.Module) -> Size:
    """Count the linear layers of a network; weights that layers share count once.

    Which edges of a masked layer survive costs nothing here, as in the papers' edge pruning.

    Args:
        network: its ``nn.Linear`` and structured layers are counted in module order.

    Raises:
        StructuredLayersError: a network without linear layers.

    Examples:
        >>> from structured_layers import ToeplitzLinear, mlp
        >>> size = size_of(mlp(17, [41], 6, layer=ToeplitzLinear, output_bias=False))
        >>> size.weights, size.bits  # Table 2 of ES-ENAS, HalfCheetah
        (103, 4608)

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Table 2.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, StructuredLinear))]
    if not layers:
        raise StructuredLayersError(f"{type(network).__name__} has no linear layer to count")
    biases = [0 if layer.bias is None else layer.bias.numel() for layer in layers]
    edges = sum(layer.in_features * layer.out_features for layer in layers)
    weights = sum(_distinct_weights(layers).values())
    is_chromatic = any(isinstance(layer, ChromaticLinear) for layer in layers)
    return Size(
        edges=edges,
        weights=weights,
        hidden_biases=sum(biases[:-1]),
        output_biases=biases[-1],
        index_bits=edges * math.ceil(math.log2(weights)) if is_chromatic else 0,
    )


def _distinct_weights(layers: list[nn.Linear | StructuredLinear]) -> dict[int, int]:
    """Map the id of each parameter that is not a bias to how many weights it holds."""
    counts: dict[int, int] = {}
    for layer in layers:
        for name, parameter in layer.named_parameters(recurse=False):
            if name != "bias":
                counts[id(parameter)] = parameter.numel()
        if isinstance(layer, MaskedLinear):
            counts[id(layer.values)] = layer.num_weights
    return counts
