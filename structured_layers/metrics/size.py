"""The size of a network: as the papers count it, and as it could be stored."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, LatentLinear, SoftMaskedLinear
from ..layers.seeded_colors import SEED_BITS, seeded_colors
from .codes import ceil_log2, entropy_bits
from .inventory import Inventory, layer_codes, take_inventory

FLOAT_BITS = 32


@dataclass(frozen=True)
class Summary:
    """The counts of a network; ``print`` shows them as a table.

    Attributes:
        weights: distinct trained weights, scales of chromatic layers among them; of masked layers
            the survivors. Biases are not counted.
        biases: all biases.
        dense_weights: the weights of the same network without structure.
        compression: 1 − (weights + biases) / (dense_weights + biases).
        paper_compression: the same with the biases of the last layer left out, as the papers do.
        bits: the bits of the whole network under each scheme, see :func:`summarize`.
    """

    weights: int
    biases: int
    dense_weights: int
    compression: float
    paper_compression: float
    bits: dict[str, int]

    def __str__(self) -> str:
        """Return the table."""
        rows = {
            "weights": f"{self.weights:,} of {self.dense_weights:,}",
            "biases": f"{self.biases:,}",
            "compression": f"{self.compression:.1%}",
            "compression, paper": f"{self.paper_compression:.1%}",
            **{f"bits, {scheme}": f"{number:,}" for scheme, number in self.bits.items()},
        }
        width = max(map(len, rows.values()))
        return "\n".join(f"{name:<18}  {value:>{width}}" for name, value in rows.items())


def summarize(module: nn.Module) -> Summary:
    """Count the weights and biases of a network and the bits that store it.

    Weights that layers share count once. All schemes take 32 bits for a weight and a bias; they
    differ in how they write the structure down:

    - ``paper``: as the papers print it. Biases of the last layer are left out; every edge of a
      palette of M colours takes ⌈log2 M⌉ bits, every edge of the soft-masked layers ⌈log2 K⌉ for
      their K survivors; which edges a ``MaskedLinear`` keeps is not counted, and of a
      ``LatentLinear`` the code alone, not the decoder.
    - ``bitmask``: one bit for each edge of a layer with missing edges, ⌈log2 M⌉ for each colour.
    - ``coordinates``: the position of each surviving edge of such a layer, ⌈log2 M⌉ a colour.
    - ``entropy``: what an ideal entropy coder needs for the colours of a palette and for each mask.
      The histograms that it knows are not counted.
    - ``seed``: 32 bits for a layer's whole colouring, the rest as ``bitmask``. It is there if every
      colouring of the network is exactly what a seed makes, as random ones are until a search
      changes them.

    All schemes but ``paper`` take the weights of a ``LatentLinear`` one by one, as its decoder
    makes them: a network has to be stored with all that it needs, and codes need their decoder,
    which is larger.

    Args:
        module: any network. Trained parameters outside of linear layers count the same with and
            without structure.

    Raises:
        StructuredLayersError: for anything that is no module, or for structure without values.

    Examples:
        >>> from functools import partial
        >>> from structured_layers import ChromaticLinear, Palette, mlp
        >>> layer = partial(ChromaticLinear, palette=Palette(17))
        >>> print(summarize(mlp(17, [41], 6, layer=layer)))  # HalfCheetah
        weights             17 of 943
        biases                     47
        compression             93.5%
        compression, paper      94.1%
        bits, paper             6,571
        bits, bitmask           6,763
        bits, coordinates       6,763
        bits, entropy           5,903
        bits, seed              2,112

    Reference:
        Song et al., Reinforcement Learning with Chromatic Networks, 2019, Table 2; ES-ENAS, 2021,
        Table 2.
    """
    if not isinstance(module, nn.Module):
        raise StructuredLayersError(f"summarize needs a module, got a {type(module).__name__}")
    found = take_inventory(module)
    weights, dense_weights, biases = found.weights, found.dense_weights, found.biases
    hidden_biases = biases - found.output_biases
    return Summary(
        weights=weights,
        biases=biases,
        dense_weights=dense_weights,
        compression=_compression(weights, dense_weights, biases),
        paper_compression=_compression(weights, dense_weights, hidden_biases),
        bits=_bits(found, FLOAT_BITS * (weights + biases)),
    )


def _compression(weights: int, dense_weights: int, biases: int) -> float:
    return 1 - (weights + biases) / max(1, dense_weights + biases)


def _bits(found: Inventory, float_bits: int) -> dict[str, int]:
    colorings = [
        [code for layer in group for code in layer_codes(layer)] for group in found.palettes
    ]
    masks = found.mask_codes + found.other_codes
    codes = [code for group in colorings for code in group] + masks
    entropies = [entropy_bits(group) for group in (*colorings, *([mask] for mask in masks))]
    paper_bits = float_bits - FLOAT_BITS * found.output_biases + _paper_index_bits(found)
    float_bits += FLOAT_BITS * _decoded_entries(found)
    bits = {
        "paper": paper_bits,
        "bitmask": float_bits + sum(code.bitmask_bits for code in codes),
        "coordinates": float_bits + sum(code.coordinate_bits for code in codes),
        "entropy": float_bits + math.ceil(sum(entropies)),
    }
    chromatic = [layer for group in found.palettes for layer in group]
    if chromatic and all(map(_is_seeded, chromatic)):
        mask_bits = sum(code.bitmask_bits for code in masks)
        bits["seed"] = float_bits + SEED_BITS * len(chromatic) + mask_bits
    return bits


def _paper_index_bits(found: Inventory) -> int:
    """Return E·⌈log2 K⌉ for each palette, and for the soft-masked layers together."""
    bits = 0
    for group in found.palettes:
        bits += sum(layer.colors.numel() for layer in group) * ceil_log2(group[0].values.numel())
    soft = [layer for layer in found.layers if isinstance(layer, SoftMaskedLinear)]
    survivors = sum(layer.num_weights for layer in soft)
    return bits + sum(layer.values.numel() for layer in soft) * ceil_log2(survivors)


def _decoded_entries(found: Inventory) -> int:
    """Return how many more numbers the weights of latent layers are than their codes."""
    latent = {id(layer): layer for layer in found.layers if isinstance(layer, LatentLinear)}
    return sum(
        layer.in_features * layer.out_features - layer.num_weights for layer in latent.values()
    )


def _is_seeded(layer: ChromaticLinear) -> bool:
    """Tell whether a layer's colours still are what its seed makes."""
    if layer.color_seed is None:
        return False
    shape = (layer.out_features, layer.in_features)
    made = seeded_colors(layer.color_seed, layer.values.numel(), *shape)
    return torch.equal(layer.colors.cpu(), made)
