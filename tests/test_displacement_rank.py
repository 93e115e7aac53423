"""Displacement rank with the operators of the papers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from structured_layers import HankelLinear, StructuredLayersError, ToeplitzLinear
from structured_layers.metrics import displacement_rank

sizes = st.integers(1, 9)


def weight_of(layer: type[nn.Module], width: int, out: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    made = layer(width, out, dtype=torch.float64)
    with torch.no_grad():
        made.values.normal_()
    return made.weight


@given(width=sizes, out=sizes, seed=st.integers(0, 2**31), threshold=st.sampled_from([0.0, 0.1]))
def test_toeplitz_matrices_have_at_most_rank_two(
    width: int, out: int, seed: int, threshold: float
) -> None:
    weight = weight_of(ToeplitzLinear, width, out, seed)
    assert displacement_rank(weight, threshold=threshold) <= 2


@given(width=sizes, out=sizes, seed=st.integers(0, 2**31))
def test_toeplitz_plus_hankel_has_at_most_rank_four(width: int, out: int, seed: int) -> None:
    weight = weight_of(ToeplitzLinear, width, out, seed) + weight_of(HankelLinear, width, out, seed)
    assert displacement_rank(weight, "toeplitz_hankel", threshold=0, tolerance=1e-9) <= 4


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rounding_in_the_type_of_the_weight_adds_no_rank(dtype: torch.dtype, seed: int) -> None:
    torch.manual_seed(seed)
    weight = sum(layer(30, 20).weight.detach() for layer in (ToeplitzLinear, HankelLinear))
    assert displacement_rank(weight.to(dtype), "toeplitz_hankel", threshold=0) <= 4
    assert displacement_rank(torch.randn(20, 30), "toeplitz_hankel", threshold=0) == 20


def test_random_matrices_have_nearly_full_rank() -> None:
    torch.manual_seed(0)
    assert displacement_rank(torch.randn(12, 9), threshold=0) == 9


def test_small_entries_of_the_displacement_are_zero() -> None:
    torch.manual_seed(0)
    nearly = weight_of(ToeplitzLinear, 8, 8, 0) + 0.02 * torch.rand(8, 8)
    assert displacement_rank(nearly) <= 2
    assert displacement_rank(nearly, threshold=0) > 2


def test_small_singular_values_are_zero() -> None:
    torch.manual_seed(0)
    nearly = weight_of(ToeplitzLinear, 8, 8, 0) + 1e-3 * torch.rand(8, 8)
    assert displacement_rank(nearly, threshold=0, tolerance=0.1) <= 2


def test_operators_of_ones_own() -> None:
    torch.manual_seed(0)
    nodes = torch.linspace(-0.9, 0.9, 5, dtype=torch.float64)
    vandermonde = nodes[:, None] ** torch.arange(4, dtype=torch.float64)
    shift = torch.ones(3, dtype=torch.float64).diag(-1)
    operators = (nodes.diag(), shift)
    assert displacement_rank(vandermonde, operators, threshold=0, tolerance=1e-9) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": torch.zeros(3)}, r"weight must be a tensor with two dimensions, got \(3,\)"),
        ({"weight": [[1.0]]}, "weight must be a tensor with two dimensions, got list"),
        ({"weight": torch.full((2, 2), torch.nan)}, "weight must be finite"),
        ({"operators": "hankel"}, "one of toeplitz, toeplitz_hankel or a pair .* got 'hankel'"),
        ({"operators": (torch.eye(3), torch.eye(3))}, r"A must be of shape \(2, 2\)"),
        ({"threshold": -0.1}, "threshold must be a number of at least 0, got -0.1"),
        ({"tolerance": float("nan")}, "tolerance must be a number of at least 0, got nan"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        displacement_rank(**{"weight": torch.ones(2, 3), **arguments})
