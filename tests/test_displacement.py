"""Layers of low displacement rank against the definition of displacement rank."""

import numpy as np
import pytest
import torch
from layer_cases import displacement_operators, displacement_truth
from torch import Tensor, nn

from structured_layers import (
    HankelLinear,
    LowDisplacementRankLinear,
    StructuredLayersError,
    ToeplitzLinear,
)
from structured_layers.layers.displacement_families import FAMILIES, chebyshev_nodes
from structured_layers.layers.displacement_fit import _truncated
from structured_layers.layers.toeplitz import toeplitz

SIZES = [(5, 8), (8, 5), (6, 6), (1, 4), (4, 1), (3, 13), (13, 3)]
SINGLE_OPERATORS = [family for family in FAMILIES if family != "toeplitz_hankel"]


def make(in_features: int, out_features: int, rank: int, family: str) -> LowDisplacementRankLinear:
    return LowDisplacementRankLinear(
        in_features, out_features, rank=rank, family=family, dtype=torch.float64
    )


def with_generators(left: Tensor, right: Tensor, family: str) -> Tensor:
    """The weight of a layer with these generators."""
    layer = make(right.shape[1], left.shape[1], len(left), family)
    with torch.no_grad():
        layer.values.copy_(torch.cat([left, right], -1))
    return layer.weight.detach()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("family", SINGLE_OPERATORS)
def test_displacement_has_the_rank_and_the_generators(family: str, sizes: tuple[int, int]) -> None:
    for rank in {1, min(2, *sizes), min(sizes)}:
        layer = make(*sizes, rank, family)
        a, b = displacement_operators(layer, family)
        weight = layer.weight.detach()
        displaced = a @ weight - weight @ b
        assert torch.linalg.matrix_rank(displaced) <= rank
        if family != "vandermonde":
            left, right = layer.values.detach().tensor_split([layer.out_features], -1)
            torch.testing.assert_close(displaced, left.T @ right)
        torch.testing.assert_close(weight, displacement_truth(layer))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_sum_is_of_a_toeplitz_and_a_hankel_like_matrix(sizes: tuple[int, int]) -> None:
    layer = make(*sizes, min(2, *sizes), "toeplitz_hankel")
    first, second = layer.values.detach().chunk(2)
    parts = [
        with_generators(*part.tensor_split([layer.out_features], -1), family)
        for part, family in ((first, "toeplitz"), (second, "hankel"))
    ]
    torch.testing.assert_close(layer.weight.detach(), sum(parts))


def generators_of(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Solve for the generators of the toeplitz family: A W - W B by singular values."""
    layer = make(weight.shape[1], weight.shape[0], 1, "toeplitz")
    a, b = displacement_operators(layer, "toeplitz")
    left, singular, right = torch.linalg.svd(a @ weight - weight @ b)
    assert singular[rank:].sum() < 1e-9
    return (left[:, :rank] * singular[:rank]).T, right[:rank]


@pytest.mark.parametrize("sizes", [(7, 7), (5, 9), (9, 5)], ids=str)
def test_rank_two_holds_every_toeplitz_matrix(sizes: tuple[int, int]) -> None:
    weight = toeplitz(torch.randn(sum(sizes) - 1, dtype=torch.float64), *sizes)
    built = with_generators(*generators_of(weight, 2), "toeplitz")
    torch.testing.assert_close(built, weight)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_rank_two_holds_every_inverse_of_a_toeplitz_matrix(n: int) -> None:
    diagonals = torch.randn(2 * n - 1, dtype=torch.float64)
    diagonals[n - 1] += 2 * n  # well conditioned
    inverse = torch.linalg.inv(toeplitz(diagonals, n, n))
    built = with_generators(*generators_of(inverse, 2), "toeplitz")
    torch.testing.assert_close(built, inverse)


@pytest.mark.parametrize("family", ["toeplitz", "hankel", "cauchy", "vandermonde"])
@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (5, 3)], ids=str)
def test_full_rank_holds_every_matrix(family: str, sizes: tuple[int, int]) -> None:
    weight = torch.randn(sizes, dtype=torch.float64)
    values = _truncated(weight, min(sizes), family)
    built = with_generators(*values.tensor_split([sizes[0]], -1), family)
    torch.testing.assert_close(built, weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_number_of_weights(family: str) -> None:
    summands = 2 if family == "toeplitz_hankel" else 1
    for rank in (1, 3):
        assert make(7, 5, rank, family).num_weights == summands * rank * (7 + 5)


@pytest.mark.parametrize("sizes", [(6, 4), (4, 6), (9, 9)], ids=str)
@pytest.mark.parametrize("rank", [1, 2, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_from_linear_beats_the_zero_matrix_and_the_truncated_displacement(
    family: str, rank: int, sizes: tuple[int, int]
) -> None:
    linear = nn.Linear(*sizes, dtype=torch.float64)
    target = linear.weight.detach()
    fitted = LowDisplacementRankLinear.from_linear(linear, rank=rank, family=family)
    error = (fitted.weight - target).norm()
    truncated = make(*sizes, rank, family)
    with torch.no_grad():
        truncated.values.copy_(_truncated(target, rank, family))
    assert error < (1 - 1e-3) * target.norm()
    assert error <= (truncated.weight - target).norm() + 1e-6


def test_truncating_the_displacement_can_be_worse_than_the_zero_matrix() -> None:
    target = nn.Linear(64, 64, dtype=torch.float64).weight.detach()
    left, right = _truncated(target, 1, "toeplitz").tensor_split([64], -1)
    assert (with_generators(left, right, "toeplitz") - target).norm() > target.norm()


@pytest.mark.parametrize(
    ("family", "shared"), [("toeplitz", ToeplitzLinear), ("hankel", HankelLinear)]
)
def test_rank_two_is_no_worse_than_shared_entries(family: str, shared: type) -> None:
    linear = nn.Linear(9, 7, dtype=torch.float64)
    layers = (
        LowDisplacementRankLinear.from_linear(linear, rank=2, family=family),
        shared.from_linear(linear),
    )
    ours, theirs = ((layer.weight - linear.weight).norm() for layer in layers)
    assert ours <= theirs


@pytest.mark.parametrize("family", SINGLE_OPERATORS)
def test_from_linear_finds_generators_that_exist(family: str) -> None:
    layer = make(6, 5, 2, family)
    fitted = LowDisplacementRankLinear.from_linear(layer.to_linear(), rank=2, family=family)
    torch.testing.assert_close(fitted.weight, layer.weight)


def test_from_linear_of_zeros_is_zero() -> None:
    linear = nn.Linear(3, 4)
    nn.init.zeros_(linear.weight)
    fitted = LowDisplacementRankLinear.from_linear(linear, family="toeplitz_hankel")
    assert torch.count_nonzero(fitted.weight) == 0


def test_no_output_is_cut_off_by_a_node_of_zero() -> None:
    for count in range(1, 8):
        nodes = chebyshev_nodes(count)
        assert nodes.abs().min() > 0.1
        assert nodes.abs().max() < 1
        assert len(nodes.unique()) == count


@pytest.mark.parametrize("family", ["vandermonde", "cauchy"])
def test_nodes_survive_half_precision(family: str) -> None:
    layer = LowDisplacementRankLinear(300, 300, family=family).bfloat16()
    assert bool(layer(torch.randn(2, 300, dtype=torch.bfloat16)).isfinite().all())


@pytest.mark.parametrize("rank", [0, -1, 5, 2.0, True, "1", None], ids=repr)
def test_the_rank_is_checked(rank: object) -> None:
    wanted = r"rank must be an integer between 1 and 4 \(= the smaller of in_features and out_f"
    with pytest.raises(StructuredLayersError, match=wanted):
        LowDisplacementRankLinear(4, 7, rank=rank)
    with pytest.raises(StructuredLayersError, match=wanted):
        LowDisplacementRankLinear.from_linear(nn.Linear(7, 4), rank=rank)
    assert LowDisplacementRankLinear(4, 7, rank=np.int64(2)).rank == 2


@pytest.mark.parametrize("family", ["circulant", "", None, 3, ["cauchy"]], ids=repr)
def test_an_unknown_family_is_refused_with_the_list(family: object) -> None:
    wanted = "family must be one of toeplitz, hankel, toeplitz_hankel, vandermonde, cauchy, got"
    with pytest.raises(StructuredLayersError, match=wanted):
        LowDisplacementRankLinear(4, 7, family=family)
    with pytest.raises(StructuredLayersError, match=wanted):
        LowDisplacementRankLinear.from_linear(nn.Linear(7, 4), family=family)
