"""The layers that the contract suite runs over: a new layer adds its entries to CASES."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LatentLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    StructuredLinear,
    ToeplitzLinear,
    WeightDecoder,
)
from structured_layers.layers.displacement_families import chebyshev_nodes, interlaced_nodes


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
    fft: bool = False  # whether a large layer of the kind multiplies by FFT
    homogeneous: bool = True  # whether a multiple of a weight has the structure as well


def spanned(
    name: str,
    layer: type[StructuredLinear],
    basis: Tensor,
    num_weights: int,
    repr: str,
    make_structure: dict[str, Any] | None = None,
    fit_structure: dict[str, Any] | None = None,
    scaled: bool = False,
    fft: bool = False,
) -> LayerCase:
    """Make the case of a layer whose weight is (scale *) the sum of values * basis."""
    _, out_features, in_features = basis.shape

    def truth(made: StructuredLinear) -> Tensor:
        weight = torch.einsum("k,koi->oi", made.values.flatten(), basis.to(made.values))
        return made.scale * weight if scaled else weight

    return LayerCase(
        name=name,
        make=partial(layer, in_features, out_features, **(make_structure or {})),
        truth=truth,
        num_weights=num_weights,
        repr=repr,
        from_linear=partial(layer.from_linear, **(fit_structure or {})),
        basis=None if scaled else basis,
        fft=fft,
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


def hankel_basis(in_features: int, out_features: int) -> Tensor:
    groups = [[i + j for j in range(in_features)] for i in range(out_features)]
    return shared_entries(groups, out_features + in_features - 1)


def edge_basis(mask: list[list[int]]) -> Tensor:
    width = len(mask[0])
    groups = [[i * width + j if on else -1 for j, on in enumerate(r)] for i, r in enumerate(mask)]
    return shared_entries(groups, len(mask) * width)


def unit_shift(size: int, corner: float) -> Tensor:
    """Z_f: down by one place, f in the upper right corner."""
    shift = torch.diag(torch.ones(size - 1, dtype=torch.float64, device="cpu"), -1)
    shift[0, size - 1] += corner
    return shift


def displacement_operators(layer: LowDisplacementRankLinear, family: str) -> tuple[Tensor, Tensor]:
    """A and B of a family, in double precision."""
    m, n = layer.out_features, layer.in_features
    rows, columns = interlaced_nodes(m, n)
    return {
        "toeplitz": lambda: (unit_shift(m, 1.0), unit_shift(n, 0.0)),
        "hankel": lambda: (unit_shift(m, 1.0), unit_shift(n, 0.0).T),
        "vandermonde": lambda: (chebyshev_nodes(m).diag(), unit_shift(n, 0.0)),
        "cauchy": lambda: (rows.double().diag(), columns.double().diag()),
    }[family]()


def displacement_truth(layer: StructuredLinear) -> Tensor:
    """The solution W of A W - W B = D as one linear system."""
    weight = torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64, device="cpu")
    split = layer.family.split("_") if layer.family == "toeplitz_hankel" else [layer.family]
    values = layer.values.detach().cpu().double()
    for family, part in zip(split, values.chunk(len(split)), strict=True):
        a, b = displacement_operators(layer, family)
        left, right = part.tensor_split([layer.out_features], dim=-1)
        if family == "vandermonde":  # diag(v)^in is what V adds at its last column
            left, right = left @ a.matrix_power(layer.in_features), right.flip(-1)
        system = torch.kron(a, torch.eye(len(b), dtype=a.dtype, device="cpu")) - torch.kron(
            torch.eye(len(a), dtype=a.dtype, device="cpu"), b.T.contiguous()
        )
        weight += torch.linalg.solve(system, (left.T @ right).flatten()).view_as(weight)
    return weight.to(layer.values)


def displacement(family: str, in_features: int, out_features: int, rank: int) -> LayerCase:
    """Make the case of a layer of low displacement rank."""
    num_rows = 2 * rank if family == "toeplitz_hankel" else rank
    structure = {"rank": rank, "family": family}
    return LayerCase(
        f"{family}-rank{rank}-{in_features}-{out_features}",
        partial(LowDisplacementRankLinear, in_features, out_features, **structure),
        displacement_truth,
        num_rows * (in_features + out_features),
        f"{in_features} → {out_features}, rank={rank}, family={family}",
        partial(LowDisplacementRankLinear.from_linear, **structure),
        fft=family not in ("vandermonde", "cauchy"),
    )


def nearest_color_truth(layer: StructuredLinear) -> Tensor:
    entries = layer.in_features**0.5 * layer.shadow
    nearest = (entries[..., None] - layer.values).abs().argmin(-1)
    return (layer.scale * layer.values)[nearest]


def largest_values_truth(layer: StructuredLinear) -> Tensor:
    smallest_kept = layer.values.abs().flatten().sort().values[-layer.num_weights]
    return layer.values * (layer.values.abs() >= smallest_kept)


def soft_masked_truth(layer: StructuredLinear) -> Tensor:
    return layer.values * torch.sigmoid(layer.logits / layer.temperature)


def decoder_of(*hidden: int, mean: float = 0.0) -> WeightDecoder:
    """A decoder of 4 × 5 weights, always the same, with a mean weight of equal entries."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(5)
        decoder = WeightDecoder(4, 5, 3, hidden, linear_path=bool(hidden))
        scale = torch.linspace(0.5, 1.0, 20).view(4, 5) if hidden else 1.0
        decoder.set_output_(mean=torch.full((4, 5), mean), scale=scale)
    return decoder


def latent_truth(layer: StructuredLinear) -> Tensor:
    """The decoder with one hidden layer, written down from the layer's buffers."""
    tensors, code = layer.state_dict(), layer.values
    hidden = F.linear(code, tensors["decoder_layers_0_weight"], tensors["decoder_layers_0_bias"])
    entries = F.linear(
        hidden.tanh(), tensors["decoder_layers_2_weight"], tensors["decoder_layers_2_bias"]
    )
    entries = entries + F.linear(code, tensors["decoder_linear_path_weight"])
    return tensors["decoder_weight_mean"] + tensors["decoder_weight_scale"] * entries.view(4, 5)


LINEAR_DECODER, DECODER = decoder_of(), decoder_of(6, mean=0.02)

COLORS = [[0, 1, 2, 3, 3], [2, 2, 1, 0, 0], [3, 0, 0, 1, 2], [1, 3, 2, 2, 1]]
PRUNED = [[0, -1, 2, -1, 1], [-1, -1, -1, -1, -1], [2, 2, 1, 0, -1], [0, 1, 2, 1, 1]]
MASK = [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 1, 0], [0, 1, 1]]

colors, pruned, mask = torch.tensor(COLORS), torch.tensor(PRUNED), torch.tensor(MASK).bool()

CASES = [
    spanned("toeplitz-wide", ToeplitzLinear, toeplitz_basis(7, 4), 10, "7 → 4", fft=True),
    spanned("toeplitz-tall", ToeplitzLinear, toeplitz_basis(3, 6), 8, "3 → 6", fft=True),
    spanned("toeplitz-single", ToeplitzLinear, toeplitz_basis(1, 1), 1, "1 → 1", fft=True),
    spanned("circulant-wide", CirculantLinear, circulant_basis(7, 4), 7, "7 → 4", fft=True),
    spanned("circulant-tall", CirculantLinear, circulant_basis(3, 6), 6, "3 → 6", fft=True),
    spanned("circulant-square", CirculantLinear, circulant_basis(5, 5), 5, "5 → 5", fft=True),
    spanned("hankel-wide", HankelLinear, hankel_basis(7, 4), 10, "7 → 4", fft=True),
    spanned("hankel-tall", HankelLinear, hankel_basis(3, 6), 8, "3 → 6", fft=True),
    displacement("toeplitz", 5, 4, 1),
    displacement("toeplitz", 4, 7, 3),
    displacement("hankel", 7, 4, 2),
    displacement("toeplitz_hankel", 5, 5, 1),
    displacement("vandermonde", 4, 5, 2),
    displacement("cauchy", 5, 4, 2),
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
    LayerCase(
        "chromatic-random",
        partial(ChromaticLinear, 5, 4, palette=4),
        lambda layer: torch.eye(4).to(layer.values)[layer.colors] @ layer.values,
        4,
        "5 → 4, colors=4",
        partial(ChromaticLinear.from_linear, palette=4),
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
    spanned(
        "latent-linear",
        LatentLinear,
        LINEAR_DECODER(torch.eye(3, device="cpu")).detach(),
        3,
        "5 → 4, latent=3",
        {"decoder": LINEAR_DECODER},
        {"decoder": LINEAR_DECODER},
    ),
    LayerCase(
        "latent",
        partial(LatentLinear, 5, 4, decoder=DECODER),
        latent_truth,
        3,
        "5 → 4, latent=3",
        partial(LatentLinear.from_linear, decoder=DECODER),
        homogeneous=False,
    ),
]
