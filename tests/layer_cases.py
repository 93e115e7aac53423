"""The layers that the contract suite runs over: a new layer adds its entries to CASES."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    StructuredLinear,
    ToeplitzLinear,
)


@dataclass(frozen=True)
class LayerCase:
    """How to make a layer, and what it must equal."""

    name: str
    make: Callable[..., StructuredLinear]  # takes bias, device and dtype
    truth: Callable[[StructuredLinear], Tensor]  # the dense weight, written down independently
    num_weights: int
    repr: str
    from_linear: Callable[[nn.Linear], StructuredLinear]
    basis: Tensor | None = None  # (k, out, in): what the structure's matrices are spanned by
    straight_through: bool = False  # whether gradients are passed on where there are none


def spanned(
    name: str,
    layer: type[StructuredLinear],
    basis: Tensor,
    num_weights: int,
    repr: str,
    make_structure: dict[str, Any] | None = None,
    fit_structure: dict[str, Any] | None = None,
    scaled: bool = False,
) -> LayerCase:
    """Make the case of a layer whose weight is (scale *) the sum of values * basis."""
    _, out_features, in_features = basis.shape

    def truth(made: StructuredLinear) -> Tensor:
        weight = torch.einsum("k,koi->oi", made.values.flatten(), basis.to(made.values.dtype))
        return made.scale * weight if scaled else weight

    return LayerCase(
        name=name,
        make=partial(layer, in_features, out_features, **(make_structure or {})),
        truth=truth,
        num_weights=num_weights,
        repr=repr,
        from_linear=partial(layer.from_linear, **(fit_structure or {})),
        basis=None if scaled else basis,
    )


def shared_entries(groups: list[list[int]], num_groups: int) -> Tensor:
    """The basis of the matrices that are constant on groups of entries; group -1 is zero."""
    basis = torch.zeros(num_groups, len(groups), len(groups[0]))
    for i, row in enumerate(groups):
        for j, group in enumerate(row):
            if group >= 0:
                basis[group, i, j] = 1.0
    return basis


def toeplitz_basis(in_features: int, out_features: int) -> Tensor:
    groups = [[i - j + in_features - 1 for j in range(in_features)] for i in range(out_features)]
    return shared_entries(groups, out_features + in_features - 1)


def circulant_basis(in_features: int, out_features: int) -> Tensor:
    k = max(in_features, out_features)
    return shared_entries(
        [[(i - j) % k for j in range(in_features)] for i in range(out_features)], k
    )


def edge_basis(mask: list[list[int]]) -> Tensor:
    width = len(mask[0])
    groups = [[i * width + j if on else -1 for j, on in enumerate(r)] for i, r in enumerate(mask)]
    return shared_entries(groups, len(mask) * width)


def nearest_color_truth(layer: StructuredLinear) -> Tensor:
    centers = layer.scale * layer.values
    nearest = (layer.shadow[..., None] - centers).abs().argmin(-1)
    return centers[nearest]


def largest_values_truth(layer: StructuredLinear) -> Tensor:
    smallest_kept = layer.values.abs().flatten().sort().values[-layer.num_weights]
    return layer.values * (layer.values.abs() >= smallest_kept)


def soft_masked_truth(layer: StructuredLinear) -> Tensor:
    return layer.values * torch.sigmoid(layer.logits / layer.temperature)


COLORS = [[0, 1, 2, 3, 3], [2, 2, 1, 0, 0], [3, 0, 0, 1, 2], [1, 3, 2, 2, 1]]
PRUNED = [[0, -1, 2, -1, 1], [-1, -1, -1, -1, -1], [2, 2, 1, 0, -1], [0, 1, 2, 1, 1]]
MASK = [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 1]]

colors, pruned, mask = torch.tensor(COLORS), torch.tensor(PRUNED), torch.tensor(MASK).bool()

CASES = [
    spanned("toeplitz-wide", ToeplitzLinear, toeplitz_basis(7, 4), 10, "7 → 4"),
    spanned("toeplitz-tall", ToeplitzLinear, toeplitz_basis(3, 6), 8, "3 → 6"),
    spanned("toeplitz-single", ToeplitzLinear, toeplitz_basis(1, 1), 1, "1 → 1"),
    spanned("circulant-wide", CirculantLinear, circulant_basis(7, 4), 7, "7 → 4"),
    spanned("circulant-tall", CirculantLinear, circulant_basis(3, 6), 6, "3 → 6"),
    spanned("circulant-square", CirculantLinear, circulant_basis(5, 5), 5, "5 → 5"),
    spanned(
        "chromatic",
        ChromaticLinear,
        shared_entries(COLORS, 4),
        4,
        "5 → 4, colors=4",
        {"palette": 4, "colors": colors},
        {"palette": 4, "colors": colors},
    ),
    spanned(
        "chromatic-removed-edges",
        ChromaticLinear,
        shared_entries(PRUNED, 6),
        6,
        "5 → 4, colors=6",
        {"palette": 6, "colors": pruned},
        {"num_colors": 6, "colors": pruned},
    ),
    spanned(
        "chromatic-scaled",
        ChromaticLinear,
        shared_entries(COLORS, 4),
        5,
        "5 → 4, colors=4, scale=True",
        {"palette": 4, "colors": colors, "scale": 1.0},
        {"palette": Palette(4), "colors": colors},
        scaled=True,
    ),
    spanned(
        "masked",
        MaskedLinear,
        edge_basis(MASK),
        11,
        "3 → 6, edges=11",
        {"mask": mask},
        {"mask": mask},
    ),
    spanned("masked-full", MaskedLinear, edge_basis([[1] * 5] * 4), 20, "5 → 4, edges=20"),
    LayerCase(
        "chromatic-learned",
        partial(ChromaticLinear, 5, 4, palette=4, learn_colors=True),
        nearest_color_truth,
        5,
        "5 → 4, colors=4, learn_colors=True",
        partial(ChromaticLinear.from_linear, palette=4, learn_colors=True),
        straight_through=True,
    ),
    LayerCase(
        "masked-learned",
        partial(MaskedLinear, 3, 6, learn_mask=True, num_edges=7),
        largest_values_truth,
        7,
        "3 → 6, edges=7, learn_mask=True",
        partial(MaskedLinear.from_linear, learn_mask=True, num_edges=7),
        straight_through=True,
    ),
    LayerCase(
        "soft-masked",
        partial(SoftMaskedLinear, 5, 4, temperature=0.5, initial_density=0.4),
        soft_masked_truth,
        8,
        "5 → 4, edges=8, temperature=0.5",
        partial(SoftMaskedLinear.from_linear, temperature=0.5, initial_density=0.4),
    ),
]
