"""The problems of the Moré–Wild suite are what was published, in all four settings."""

import math

import pytest
import torch
from dfo_start_values import START_VALUES
from scipy.optimize import least_squares

from benchmarks.dfo.held_out import held_out_problems
from benchmarks.dfo.least_squares import LeastSquares
from benchmarks.dfo.settings import LARGEST, NOISE, SETTINGS, evaluate, oscillation
from benchmarks.dfo.suite import FUNCTIONS, SIZES, more_wild_problems
from structured_layers.errors import StructuredLayersError

PROBLEMS = more_wild_problems()
ALL = [*PROBLEMS, *held_out_problems()]


def of_function(name: str, dimension: int | None = None) -> LeastSquares:
    """Return the first problem of a function, from its standard start."""
    return next(p for p in PROBLEMS if p.function == name and dimension in (None, p.dimension))


def draw(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64)


def test_53_problems_over_22_functions() -> None:
    assert len(PROBLEMS) == len({problem.name for problem in PROBLEMS}) == 53
    assert {function for function, *_ in SIZES} == set(range(1, 23))
    assert len(FUNCTIONS) == len({problem.function for problem in PROBLEMS}) == 22
    assert {problem.dimension for problem in PROBLEMS} == set(range(2, 13))


@pytest.mark.parametrize("number", range(53), ids=lambda number: PROBLEMS[number].name)
def test_values_at_the_start_are_the_published_ones(number: int) -> None:
    problem = PROBLEMS[number]
    for setting, published in zip(SETTINGS, START_VALUES[number], strict=False):
        value, _ = evaluate(problem, setting, problem.start_point()[None], draw)
        assert f"{float(value):.5e}" == published, setting


# Minima of Σ F² as Moré, Garbow and Hillstrom (1981) print them.
MINIMA = [
    ("linear_full_rank", 9, 45 - 9),
    ("linear_rank_one", 7, 35 * 34 / (2 * (2 * 35 + 1))),
    ("linear_rank_one_with_zeros", 7, (35**2 + 3 * 35 - 6) / (2 * (2 * 35 - 3))),
    ("freudenstein_roth", 2, 48.9842),
    ("bard", 3, 8.21487e-3),
    ("kowalik_osborne", 4, 3.07505e-4),
    ("meyer", 3, 87.9458),
    ("watson", 6, 2.28767e-3),
    ("watson", 9, 1.39976e-6),
    ("watson", 12, 4.72238e-10),
    ("jennrich_sampson", 2, 124.362),
    ("brown_dennis", 4, 85822.2),
    ("chebyquad", 8, 3.51687e-3),
    ("osborne_1", 5, 5.46489e-5),
    ("osborne_2", 11, 4.01377e-2),
    ("rosenbrock", 2, 0.0),
    ("helical_valley", 3, 0.0),
    ("powell_singular", 4, 0.0),
    ("chebyquad", 9, 0.0),
]


@pytest.mark.parametrize(("name", "dimension", "minimum"), MINIMA)
def test_minima_are_the_published_ones(name: str, dimension: int, minimum: float) -> None:
    problem = of_function(name, dimension)

    def residuals(x):
        return problem(torch.as_tensor(x)[None])[0].numpy()

    def jacobian(x):
        return torch.autograd.functional.jacobian(problem, torch.as_tensor(x)[None])[
            0, :, 0
        ].numpy()

    tight = dict.fromkeys(("xtol", "ftol", "gtol"), 1e-15)
    found = least_squares(residuals, problem.start, jacobian, method="lm", **tight)
    # six printed digits; a minimum of 0 has none
    assert 2 * found.cost == pytest.approx(minimum, rel=5e-6, abs=1e-20 if minimum == 0 else 0)


@pytest.mark.parametrize("problem", ALL, ids=lambda problem: problem.name)
def test_gradients_are_those_of_finite_differences(problem: LeastSquares) -> None:
    # Away from the start, where the helical valley and powers of x have kinks.
    point = (
        problem.start_point() + 0.01 * problem.units() * torch.randn(1, problem.dimension).double()
    )
    step = 1e-6 * problem.units()
    jacobian = torch.autograd.functional.jacobian(problem, point)[0, :, 0]  # (m, n)
    shifted = point + torch.cat([step.diag(), -step.diag()])  # (2n, n)
    plus, minus = problem(shifted).chunk(2)
    differences = ((plus - minus) / (2 * step[:, None])).T
    scale = jacobian.abs().max()
    # central differences err by step² and by rounding over the step
    rounding = 1e-15 * problem(point).abs().max() / step.min()
    assert (jacobian - differences).abs().max() <= 1e-7 * scale + rounding


@pytest.mark.parametrize("problem", ALL, ids=lambda problem: problem.name)
def test_a_batch_is_its_points_one_by_one(problem: LeastSquares) -> None:
    points = problem.start_point() + 0.1 * torch.randn(3, problem.dimension).double()
    assert problem(points).shape == (3, problem.num_residuals)
    single = torch.cat([problem(point[None]) for point in points])
    torch.testing.assert_close(problem(points), single)


def test_deterministic_noise_is_the_published_formula() -> None:
    x = [0.3, -0.4]
    fast = math.sin(100 * 0.7) * math.cos(100 * 0.4)
    z = 0.9 * fast + 0.1 * math.cos(0.5)
    expected = 4 * z**3 - 3 * z  # T₃
    point = torch.tensor([x], dtype=torch.float64)
    assert float(oscillation(point)) == pytest.approx(expected, rel=1e-12)


# The functions whose non-differentiable form Moré and Wild (2009) restrict to x ≥ 0.
CUT = {"bard", "kowalik_osborne", "jennrich_sampson", "brown_almost_linear", "osborne_1",
       "osborne_2"}  # fmt: skip


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_six_nondifferentiable_functions_cut_at_zero(problem: LeastSquares) -> None:
    points = -0.1 * torch.rand(1, problem.dimension, dtype=torch.float64)
    value, _ = evaluate(problem, "nondifferentiable", points, draw)
    taken_at = points.clamp(min=0) if problem.function in CUT else points
    expected = problem(taken_at).abs().sum(1).clamp(max=LARGEST)
    assert value == pytest.approx(expected.nan_to_num(LARGEST))
    cut, uncut = (problem(p).abs().sum(1) for p in (points.clamp(min=0), points))
    assert cut != uncut  # so that the point tells them apart


def test_stochastic_values_scatter_about_what_is_scored() -> None:
    problem, trials = of_function("heart8"), 20_000
    points = problem.start_point().expand(trials, -1)
    seen, scored = evaluate(problem, "stochastic", points, draw)
    # E (F (1 + u))² = F² (1 + NOISE²/3) for u uniform in ±NOISE
    expected = scored[0] * (1 + NOISE**2 / 3)
    standard_error = seen.std() / trials**0.5
    assert (seen.mean() - expected).abs() < 4 * standard_error
    assert (scored == scored[0]).all()
    assert ((seen / scored - 1).abs() <= 2 * NOISE + NOISE**2).all()


def test_every_residual_has_its_own_noise() -> None:
    problem = of_function("bard")
    points = problem.start_point().expand(2, -1)
    uniform = torch.rand(2, 15, dtype=torch.float64)  # 15 residuals

    def fixed(shape: tuple[int, ...]) -> torch.Tensor:
        assert shape == uniform.shape
        return uniform

    seen, _ = evaluate(problem, "stochastic", points, fixed)
    noisy = problem(points) * (1 + NOISE * (2 * uniform - 1))
    torch.testing.assert_close(seen, (noisy**2).sum(1), rtol=1e-14, atol=0)


def test_overflow_counts_as_a_large_number() -> None:
    jennrich_sampson = of_function("jennrich_sampson")
    points = torch.full((1, 2), 1e4, dtype=torch.float64)
    for setting in SETTINGS:
        assert [float(v) for v in evaluate(jennrich_sampson, setting, points, draw)] == [
            LARGEST
        ] * 2


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="setting must be one of smooth"):
        evaluate(PROBLEMS[0], "rough", PROBLEMS[0].start_point()[None], draw)
