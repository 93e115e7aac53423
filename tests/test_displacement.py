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
from structured_layers.layers import displacement, displacement_fit
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
@pytest.mark.parametrize("rank", [2, 3, 5])
def test_from_rank_two_on_the_starts_are_no_worse_than_shared_entries(
    family: str, shared: type, rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the alternations, which on most weights come below the bound from any start.
    for name in ("TRIAL_ALTERNATIONS", "MAX_ALTERNATIONS"):
        monkeypatch.setattr(displacement_fit, name, 0)
    linear = nn.Linear(64, 48, dtype=torch.float64)
    layers = (
        LowDisplacementRankLinear.from_linear(linear, rank=rank, family=family),
        shared.from_linear(linear),
    )
    ours, theirs = ((layer.weight - linear.weight).norm() for layer in layers)
    assert ours <= theirs + 1e-9


@pytest.mark.parametrize("family", SINGLE_OPERATORS)
def test_from_linear_finds_generators_that_exist(family: str) -> None:
    layer = make(6, 5, 2, family)
    fitted = LowDisplacementRankLinear.from_linear(layer.to_linear(), rank=2, family=family)
    torch.testing.assert_close(fitted.weight, layer.weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_from_linear_of_zeros_is_zero_and_learns(family: str) -> None:
    linear = nn.Linear(3, 4)
    nn.init.zeros_(linear.weight)
    fitted = LowDisplacementRankLinear.from_linear(linear, rank=2, family=family)
    assert torch.count_nonzero(fitted.weight) == 0
    fitted(torch.randn(5, 3)).square().sum().backward()
    assert bool((fitted.values.grad[:, 4:] != 0).all())
    left = fitted.values.detach()[:, :4]
    assert 0 < left.abs().max() <= make(3, 4, 2, family).values.abs().max() * 3


@pytest.mark.parametrize("family", FAMILIES)
def test_from_linear_is_closer_than_zero_in_single_precision(family: str) -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        linear = nn.Linear(64, 64)
        fitted = LowDisplacementRankLinear.from_linear(linear, rank=2, family=family)
        assert fitted.values.abs().max() < 10
        assert (fitted.weight - linear.weight).norm() < 0.99 * linear.weight.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_generators_of_a_pair_have_the_same_norm(family: str) -> None:
    fitted = LowDisplacementRankLinear.from_linear(nn.Linear(9, 5), rank=2, family=family)
    left, right = fitted.values.detach().tensor_split([5], -1)
    torch.testing.assert_close(left.norm(dim=-1), right.norm(dim=-1))


def test_from_linear_refuses_what_no_matrix_of_the_family_comes_close_to() -> None:
    linear = nn.Linear(4000, 1)
    with torch.no_grad():  # the power of the node at the last input is 0
        linear.weight.zero_()[0, -1] = 1
    with pytest.raises(StructuredLayersError, match="closer than the zero matrix"):
        LowDisplacementRankLinear.from_linear(linear, family="vandermonde")


def test_from_linear_refuses_values_that_the_type_cannot_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def enormous(weight: Tensor, rank: int, family: str) -> Tensor:
        return torch.full((rank, sum(weight.shape)), 1e100, dtype=torch.float64)

    monkeypatch.setattr(displacement, "fit_generators", enormous)
    with pytest.raises(StructuredLayersError, match="values that torch.float32 can hold"):
        LowDisplacementRankLinear.from_linear(nn.Linear(3, 4))


@pytest.mark.parametrize("rank", [1, 2, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_from_linear_returns_can_be_trained(family: str, rank: int) -> None:
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(17, 41), nn.Tanh(), nn.Linear(41, 6))
    x = torch.randn(256, 17)
    wanted = dense(x).detach()
    first, last = (
        LowDisplacementRankLinear.from_linear(layer, rank=rank, family=family)
        for layer in (dense[0], dense[2])
    )
    network = nn.Sequential(first, nn.Tanh(), last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(21):
        loss = (network(x) - wanted).square().mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert max(losses) == losses[0]


def test_no_output_is_cut_off_by_a_node_of_zero() -> None:
    for count in range(1, 8):
        nodes = chebyshev_nodes(count)
        assert nodes.abs().min() > 0.1
        assert nodes.abs().max() < 1
        assert len(nodes.unique()) == count


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", ["vandermonde", "cauchy"])
def test_nodes_survive_half_precision(family: str, dtype: torch.dtype) -> None:
    layer = LowDisplacementRankLinear(512, 512, family=family)
    with torch.no_grad():
        layer.values.copy_(layer.values.to(dtype))  # so that only the nodes could change
    before = layer.weight.detach()
    layer.to(dtype)
    assert torch.equal(layer.weight, before.to(dtype))
    assert torch.equal(layer.float().weight, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_reset_parameters_restores_what_to_empty_lost(family: str) -> None:
    layer = LowDisplacementRankLinear(9, 7, rank=2, family=family, device="meta")
    layer.to_empty(device="cpu")
    layer.reset_parameters()
    torch.testing.assert_close(layer.weight, displacement_truth(layer))
    assert not list(layer.buffers())


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
