"""Estimators: unbiased for every law of directions, as exact and as variable as theory says."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from structured_layers.algorithms.directions import (
    coordinate,
    gaussian,
    hadamard,
    orthogonal,
)
from structured_layers.algorithms.gradient_estimators import (
    antithetic,
    forward_difference,
    vanilla,
)

KINDS = {
    "gaussian": gaussian,
    "orthogonal": orthogonal,
    "hadamard": hadamard,
    "hadamard of two factors": partial(hadamard, num_factors=2),
    "coordinate": coordinate,
}
EVALUATIONS = 12
MATRIX = torch.tensor([[2.0, 1.0, 0.0], [1.0, -3.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)
CENTER = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)

Function = Callable[[Tensor], Tensor]


def quadratic(x: Tensor) -> Tensor:
    return ((x @ MATRIX) * x).sum(-1)


def cubic(x: Tensor) -> Tensor:
    return (x**3).sum(-1)


def num_directions(estimator: str, evaluations: int) -> int:
    return {"antithetic": evaluations // 2, "forward": evaluations - 1, "vanilla": evaluations}[
        estimator
    ]


def estimate(
    estimator: str,
    function: Function,
    center: Tensor,
    stdev: float,
    noise: Tensor,
    **variates: object,
) -> Tensor:
    plus = function(center + stdev * noise)
    if estimator == "antithetic":
        return antithetic(plus, function(center - stdev * noise), noise, stdev, **variates)
    if estimator == "forward":
        return forward_difference(plus, function(center), noise, stdev, **variates)
    return vanilla(plus, noise, stdev, **variates)


def fourth_moment(kind: str, dimension: int) -> float:
    """E[ε_j⁴] of an entry."""
    padded = 1 << (dimension - 1).bit_length()
    return {
        "gaussian": 3.0,
        "orthogonal": 3.0,
        "hadamard": 1.0,
        "hadamard of two factors": 3 - 2 / padded,
        "coordinate": float(dimension),
    }[kind]


@pytest.mark.parametrize("estimator", ["antithetic", "forward", "vanilla"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_is_unbiased_for_its_own_law(kind: str, estimator: str) -> None:
    """E[F(θ + σε)ε]/σ: 2Aθ for θᵀAθ, 3θ² + σ²·E[ε⁴] for Σθ³."""
    generator = torch.Generator().manual_seed(1)
    size = num_directions(estimator, EVALUATIONS)
    draws = [KINDS[kind](size, 3, generator, torch.float64) for _ in range(2000)]
    for stdev in (0.5, 1.5):
        truths = {
            quadratic: 2 * MATRIX @ CENTER,
            cubic: 3 * CENTER**2 + fourth_moment(kind, 3) * stdev**2,
        }
        for function, truth in truths.items():
            rows = torch.stack([estimate(estimator, function, CENTER, stdev, n) for n in draws])
            standard_error = rows.std(dim=0) / math.sqrt(len(rows))
            assert ((rows.mean(dim=0) - truth).abs() <= 4 * standard_error + 1e-9).all()


@pytest.mark.parametrize("variate", ["baseline", "slope"])
@pytest.mark.parametrize("estimator", ["antithetic", "forward", "vanilla"])
@pytest.mark.parametrize("kind", ["gaussian", "orthogonal", "hadamard"])
def test_control_variates_keep_the_mean(kind: str, estimator: str, variate: str) -> None:
    generator = torch.Generator().manual_seed(2)
    value = 1.7 if variate == "baseline" else torch.tensor([1.0, 3.0, -2.0])
    rows = torch.stack(
        [
            estimate(
                estimator,
                quadratic,
                CENTER,
                0.5,
                KINDS[kind](num_directions(estimator, EVALUATIONS), 3, generator, torch.float64),
                **{variate: value},
            )
            for _ in range(2000)
        ]
    )
    standard_error = rows.std(dim=0) / math.sqrt(len(rows))
    assert ((rows.mean(dim=0) - 2 * MATRIX @ CENTER).abs() <= 4 * standard_error + 1e-9).all()


@pytest.mark.parametrize("estimator", ["antithetic", "forward", "vanilla"])
def test_the_gradient_itself_as_slope_leaves_no_variance_on_linear_functions(
    estimator: str,
) -> None:
    truth = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    noise = gaussian(2, 3, torch.Generator().manual_seed(0), torch.float64)
    estimated = estimate(
        estimator, lambda x: x @ truth, torch.zeros(3).double(), 0.5, noise, slope=truth
    )
    torch.testing.assert_close(estimated, truth)


def test_a_baseline_is_subtracted_from_every_value() -> None:
    noise = gaussian(4, 3, torch.Generator().manual_seed(0), torch.float64)
    plus, minus, baseline = torch.rand(3, 4, dtype=torch.float64)
    args = (noise, 0.5)
    for subtracted in (baseline, 3.0):
        assert torch.allclose(
            vanilla(plus, *args, baseline=subtracted), vanilla(plus - subtracted, *args)
        )
        assert torch.allclose(
            antithetic(plus, minus, *args, baseline=subtracted),
            antithetic(plus - subtracted, minus, *args),
        )
        assert torch.allclose(
            forward_difference(plus, 2.0, *args, baseline=subtracted),
            forward_difference(plus - subtracted, 2.0, *args),
        )


@given(
    dimension=st.sampled_from([1, 2, 4, 8, 16]),
    stdev=st.floats(0.01, 10),
    seed=st.integers(0, 2**31),
)
def test_d_orthogonal_rows_of_norm_root_d_are_exact_on_linear_functions(
    dimension: int, stdev: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    slope = gaussian(1, dimension, generator, torch.float64)[0]
    for kind in ("hadamard", "hadamard of two factors", "coordinate"):
        noise = KINDS[kind](dimension, dimension, generator, torch.float64)
        estimated = estimate("antithetic", lambda x: x @ slope, slope, stdev, noise)
        torch.testing.assert_close(estimated, slope, rtol=1e-9, atol=1e-9)


def mean_squared_errors(
    kind: str, estimator: str, function: Function, center: Tensor, truth: Tensor, num: int, n: int
) -> Tensor:
    # a seed for each kind: the standard error of their difference takes them to be independent
    generator = torch.Generator().manual_seed(list(KINDS).index(kind))
    draws = [KINDS[kind](num, len(center), generator, torch.float64) for _ in range(n)]
    rows = torch.stack([estimate(estimator, function, center, 0.5, noise) for noise in draws])
    return ((rows - truth) ** 2).sum(dim=1)


@pytest.mark.parametrize(
    ("estimator", "repeats"), [("antithetic", 4000), ("forward", 6000), ("vanilla", 8000)]
)
def test_orthogonal_directions_lose_the_variance_that_the_theorem_says(
    estimator: str, repeats: int
) -> None:
    """MSE(ort) = MSE(iid) − (N − 1)/N·‖∇J‖², for each of the estimators."""
    dimension = num = 8
    slope = torch.arange(1.0, dimension + 1, dtype=torch.float64) / 4
    center = torch.full((dimension,), 0.1, dtype=torch.float64)
    weights = torch.linspace(-0.2, 0.2, dimension, dtype=torch.float64)
    truth = slope + 2 * weights * center

    def function(x: Tensor) -> Tensor:
        return (x - center) @ slope + (weights * x**2).sum(-1)

    iid, orthogonal_ = (
        mean_squared_errors(kind, estimator, function, center, truth, num, repeats)
        for kind in ("gaussian", "orthogonal")
    )
    predicted = (num - 1) / num * float(truth @ truth)
    error = math.sqrt((iid.var() + orthogonal_.var()) / repeats)
    assert error <= 0.03 * predicted
    assert abs(float(iid.mean() - orthogonal_.mean()) - predicted) < 3 * error


def test_sums_run_in_double_precision_and_keep_the_dtype() -> None:
    values, noise = torch.tensor([2.0**24, 1.0, -(2.0**24)]), torch.ones(3, 1)
    for estimated, expected in (
        (antithetic(values, torch.zeros(3), noise, 1.0), 1 / 6),
        (forward_difference(values, 0.0, noise, 1.0), 1 / 3),
        (vanilla(values, noise, 1.0), 1 / 3),
    ):
        assert estimated.dtype == torch.float32
        assert estimated.tolist() == [pytest.approx(expected)]
