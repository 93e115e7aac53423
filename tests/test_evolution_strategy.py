"""The gradient estimate, the shaping of fitnesses, and the search that follows them."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from evotorch import Problem
from evotorch.logging import PandasLogger, StdOutLogger
from evotorch.tools import rank
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.directions import gaussian
from structured_layers.algorithms.gradient_estimators import antithetic
from structured_layers.algorithms.ranking import RANKING_METHODS

OPTIMIZERS = [
    ("adam", None),
    ("adam", {"beta1": 0.5, "beta2": 0.9}),
    ("sgd", None),
    ("sgd", {"momentum": 0.9}),
    ("clipup", None),
]
each_optimizer = pytest.mark.parametrize(("optimizer", "config"), OPTIMIZERS, ids=str)


def make_problem(
    function: Callable[[Tensor], Tensor] = lambda x: (x**2).sum(-1),
    *,
    sense: str = "min",
    size: int = 4,
) -> Problem:
    return Problem(sense, function, solution_length=size, initial_bounds=(-1, 1), vectorized=True)


def estimates(
    function: Callable[[Tensor], Tensor], center: Tensor, stdev: float, repeats: int
) -> Tensor:
    """Independent estimates of the gradient (repeats, d), each from four directions."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(repeats):
        noise = gaussian(4, len(center), generator, torch.float64)
        plus, minus = function(center + stdev * noise), function(center - stdev * noise)
        rows.append(antithetic(plus, minus, noise, stdev))
    return torch.stack(rows)


MATRIX = torch.tensor([[2.0, 1.0, 0.0], [1.0, -3.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)
CENTER = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("stdev", [0.1, 1.5])
@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (lambda x: ((x @ MATRIX) * x).sum(-1), lambda x, _: 2 * MATRIX @ x),
        (lambda x: (x**3).sum(-1), lambda x, stdev: 3 * x**2 + 3 * stdev**2),
    ],
    ids=["quadratic", "cubic"],
)
def test_the_estimator_is_unbiased_for_the_gaussian_smoothing(
    function: Callable[[Tensor], Tensor], gradient: Callable[..., Tensor], stdev: float
) -> None:
    rows = estimates(function, CENTER, stdev, repeats=3000)
    standard_error = rows.std(dim=0) / math.sqrt(len(rows))
    assert ((rows.mean(dim=0) - gradient(CENTER, stdev)).abs() < 4 * standard_error).all()


@given(size=st.integers(1, 8), stdev=st.floats(0.01, 10), seed=st.integers(0, 2**31))
def test_orthogonal_directions_are_exact_on_linear_functions(
    size: int, stdev: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    slope = gaussian(1, size, generator, torch.float64)[0]
    directions = torch.linalg.qr(gaussian(size, size, generator, torch.float64)).Q * size**0.5
    values = stdev * directions @ slope
    estimate = antithetic(values, -values, directions, stdev)
    torch.testing.assert_close(estimate, slope, rtol=1e-9, atol=1e-9)


def test_the_estimate_is_summed_in_double_precision() -> None:
    values = torch.tensor([2.0**24, 1.0, -(2.0**24)])
    estimate = antithetic(values, torch.zeros(3), torch.ones(3, 1), stdev=1.0)
    assert estimate.dtype == torch.float32
    assert estimate.tolist() == [pytest.approx(1 / 6)]


def test_gaussian_directions_have_mean_zero_and_variance_one() -> None:
    directions = gaussian(5000, 4, torch.Generator().manual_seed(0), torch.float64)
    assert (directions.mean(dim=0).abs() < 4 / math.sqrt(5000)).all()
    covariance_error = directions.T @ directions / 5000 - torch.eye(4, dtype=torch.float64)
    assert (covariance_error.abs() < 4 * math.sqrt(2 / 5000)).all()
    again = gaussian(5000, 4, torch.Generator().manual_seed(0), torch.float64)
    assert torch.equal(directions, again)


def test_raw_keeps_the_fitnesses() -> None:
    fitnesses = torch.tensor([3.0, -1.0])
    assert torch.equal(RANKING_METHODS["raw"](fitnesses), fitnesses)


def test_std_divides_by_the_standard_deviation() -> None:
    fitnesses = torch.tensor([1.0, 2.0, 3.0, 6.0])
    expected = fitnesses / math.sqrt(3.5)
    torch.testing.assert_close(RANKING_METHODS["std"](fitnesses), expected)


def test_centered_ranks_are_evotorchs_and_ties_share_their_mean() -> None:
    fitnesses = torch.randn(9)
    expected = rank(fitnesses, "centered", higher_is_better=True)
    torch.testing.assert_close(RANKING_METHODS["centered"](fitnesses), expected)
    tied = RANKING_METHODS["centered"](torch.tensor([5.0, 1.0, 5.0, 9.0, 5.0]))
    assert tied.tolist() == [0.0, -0.5, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("ranking_method", RANKING_METHODS)
def test_shaping_changes_nothing_of_the_fitnesses(ranking_method: str) -> None:
    fitnesses = torch.tensor([1.0, 5.0, 2.0])
    RANKING_METHODS[ranking_method](fitnesses)
    assert fitnesses.tolist() == [1.0, 5.0, 2.0]


@pytest.mark.parametrize("ranking_method", RANKING_METHODS)
@each_optimizer
def test_es_solves_the_sphere(optimizer: str, config: dict | None, ranking_method: str) -> None:
    search = ES(
        make_problem(),
        popsize=40,
        center_init=torch.ones(4),
        center_learning_rate=0.005 if optimizer == "sgd" and config else 0.03,
        optimizer=optimizer,
        optimizer_config=config,
        ranking_method=ranking_method,
        seed=0,
    )
    search.run(200)
    assert search.status["center"].norm() < 0.2  # 2 at the start
    assert search.step_count == 200


def test_a_step_follows_the_estimate() -> None:
    problem = make_problem(lambda x: (x**3).sum(-1), sense="max")
    search = ES(
        problem,
        popsize=6,
        center_init=torch.ones(4),
        stdev_init=0.5,
        center_learning_rate=0.25,
        optimizer="sgd",
        ranking_method="raw",
        num_center_evaluations=2,
        seed=0,
    )
    search.step()
    values, evals = search.population.values, search.population.evals[:, 0]
    noise = (values[0::2] - 1) / 0.5
    torch.testing.assert_close(values[1::2], 1 - 0.5 * noise)
    gradient = ((evals[0::2] - evals[1::2])[:, None] * noise).sum(0) / (2 * 3 * 0.5)
    torch.testing.assert_close(search.status["center"], 1 + 0.25 * gradient)
    assert search.status["update_norm"] == pytest.approx(float((0.25 * gradient).norm()), rel=1e-5)
    assert torch.equal(search.center_population.values, torch.ones(2, 4))
    assert search.status["center_eval"] == 4.0
    assert torch.equal(search.center_solution(), search.status["center"])


@each_optimizer
def test_minimising_and_maximising_mirror_each_other(optimizer: str, config: dict | None) -> None:
    centers = []
    for sense, sign in (("min", 1), ("max", -1)):
        problem = make_problem(lambda x, sign=sign: sign * (x**4).sum(-1), sense=sense)
        search = ES(
            problem,
            popsize=10,
            center_init=torch.ones(4),
            optimizer=optimizer,
            optimizer_config=config,
            seed=0,
        )
        search.run(5)
        centers.append(search.status["center"])
    assert torch.equal(*centers)


def test_the_seed_determines_the_search() -> None:
    def center(seed: int | None) -> Tensor:
        search = ES(make_problem(), popsize=4, center_init=torch.ones(4), seed=seed)
        search.run(3)
        return search.status["center"]

    assert torch.equal(center(1), center(1))
    assert not torch.equal(center(1), center(2))
    assert not torch.equal(center(None), center(None))


def test_the_global_generator_and_the_start_are_left_alone() -> None:
    start, state = torch.ones(4), torch.get_rng_state()
    ES(make_problem(), popsize=4, center_init=start, seed=0).run(3)
    assert torch.equal(start, torch.ones(4))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_start_the_problem_draws_one() -> None:
    search = ES(make_problem(), popsize=4)
    assert search.status["center"].abs().max() <= 1
    assert search.population is None
    assert search.center_population is None


def test_status_has_evotorchs_keys_and_ours() -> None:
    search = ES(make_problem(), popsize=4, center_init=torch.ones(4), seed=0)
    search.run(2)
    status = dict(search.status.items())
    assert status["iter"] == 2
    assert status["stdev"] == pytest.approx(0.1)
    assert status["center_eval"] is None
    assert status["update_norm"] > 0
    assert status["center"].shape == (4,)
    assert {"center", "best", "best_eval", "pop_best", "pop_best_eval", "mean_eval"} < set(status)
    assert status["mean_eval"] == pytest.approx(float(search.population.evals.mean()))


def test_hooks_and_loggers_run(capsys: pytest.CaptureFixture[str]) -> None:
    search = ES(make_problem(), popsize=4, center_init=torch.ones(4), num_center_evaluations=1)
    calls = []
    search.before_step_hook.append(lambda: calls.append("before"))
    search.after_step_hook.append(lambda: {"twice_iter": 2 * search.step_count})
    search.end_of_run_hook.append(lambda status: calls.append(status["iter"]))
    StdOutLogger(search)
    logger = PandasLogger(search)
    search.run(3)
    assert calls == ["before"] * 3 + [3]
    frame = logger.to_dataframe(index=None)
    assert frame["iter"].tolist() == [1, 2, 3]
    assert frame["twice_iter"].tolist() == [2, 4, 6]
    assert frame["center_eval"].iloc[0] == 4.0
    assert frame[["update_norm", "stdev", "mean_eval"]].notna().all(axis=None)
    printed = capsys.readouterr().out
    assert printed.count("center_eval :") == 3


@pytest.mark.parametrize("ranking_method", RANKING_METHODS)
@each_optimizer
def test_equal_fitnesses_leave_the_center_where_it_is(
    optimizer: str, config: dict | None, ranking_method: str
) -> None:
    problem = make_problem(lambda x: torch.full((len(x),), 3.0), sense="max")
    search = ES(
        problem,
        popsize=6,
        center_init=torch.ones(4),
        optimizer=optimizer,
        optimizer_config=config,
        ranking_method=ranking_method,
        seed=0,
    )
    search.run(3)
    assert torch.equal(search.status["center"], torch.ones(4))
    assert search.status["update_norm"] == 0.0


class Shifting(Problem):
    """A sphere whose minimum moves with every evaluation: a problem that has a state."""

    def __init__(self) -> None:
        super().__init__("min", solution_length=4, initial_bounds=(-1, 1))
        self.num_evaluations = 0

    def _evaluate_batch(self, batch) -> None:
        self.num_evaluations += 1
        batch.set_evals(((batch.values - 0.01 * self.num_evaluations) ** 2).sum(-1))

    def state_dict(self) -> dict[str, int]:
        return {"num_evaluations": self.num_evaluations}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.num_evaluations = state["num_evaluations"]


def make_search(optimizer: str, config: dict | None, seed: int = 0) -> ES:
    return ES(
        Shifting(),
        popsize=6,
        center_init=torch.full((4,), 1.0 + seed),
        optimizer=optimizer,
        optimizer_config=config,
        seed=seed,
    )


@pytest.mark.parametrize("generations", [0, 1, 5])
@each_optimizer
def test_a_search_continues_from_its_checkpoint_bit_for_bit(
    optimizer: str, config: dict | None, generations: int, tmp_path: Path
) -> None:
    search, resumed = make_search(optimizer, config), make_search(optimizer, config, seed=1)
    search.run(generations)
    resumed.run(2)
    assert not torch.equal(resumed.status["center"], search.status["center"])
    write_checkpoint(tmp_path, search.state_dict(), number=generations)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    assert resumed.step_count == generations
    assert torch.equal(resumed.status["center"], search.status["center"])
    for _ in range(4):
        search.step()
        resumed.step()
        assert torch.equal(resumed.status["center"], search.status["center"])
        assert torch.equal(resumed.population.values, search.population.values)
        assert torch.equal(resumed.population.evals, search.population.evals)
    assert resumed.status["iter"] == generations + 4


@each_optimizer
def test_a_state_is_a_snapshot(optimizer: str, config: dict | None) -> None:
    search = make_search(optimizer, config)
    search.run(3)
    state = search.state_dict()
    search.run(4)
    expected = search.status["center"]
    for _ in range(2):
        search.load_state_dict(state)
        search.run(4)
        assert torch.equal(search.status["center"], expected)


def test_searches_that_continue_from_one_state_do_not_disturb_each_other() -> None:
    origin = make_search("adam", None)
    origin.run(3)
    state = origin.state_dict()
    first, second = make_search("adam", None), make_search("adam", None)
    first.load_state_dict(state)
    second.load_state_dict(state)
    first.run(4)
    second.run(4)
    assert torch.equal(first.status["center"], second.status["center"])


def test_a_state_of_another_size() -> None:
    state = ES(make_problem(size=3), popsize=4).state_dict()
    message = "'num_weights': 4.* the state is of .*'num_weights': 3"
    with pytest.raises(StructuredLayersError, match=message):
        ES(make_problem(), popsize=4).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"popsize": 5}, "popsize must be an even number of at least 2 .*, got 5"),
        ({"popsize": 0}, "got 0"),
        ({"stdev_init": 0.0}, "stdev_init must be a positive, finite number, got 0.0"),
        ({"stdev_init": float("nan")}, "stdev_init must be a positive.*, got nan"),
        ({"stdev_init": float("inf")}, "stdev_init must be a positive.*, got inf"),
        ({"center_learning_rate": -1.0}, "center_learning_rate must be a positive.*, got -1.0"),
        ({"num_center_evaluations": -1}, "num_center_evaluations must be an integer of at least 0"),
        ({"optimizer": "adamw"}, "optimizer must be one of adam, sgd, clipup, cmaes, got 'adamw'"),
        ({"ranking_method": "nes"}, "ranking_method must be one of raw, centered, std, got 'nes'"),
        ({"estimator": "backward"}, "estimator must be one of antithetic.*, got 'backward'"),
        ({"directions": "sobol"}, "directions must be one of gaussian.*, got 'sobol'"),
        ({"center_init": torch.zeros(5)}, r"center_init must have shape \(4,\), .* got \(5,\)"),
        ({"center_init": torch.zeros(1, 4)}, r"got \(1, 4\)"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        ES(make_problem(), **arguments)


def test_several_objectives_are_refused() -> None:
    problem = Problem(["min", "max"], lambda x: x[:, :2], solution_length=4, initial_bounds=(0, 1))
    with pytest.raises(ValueError, match="objective"):
        ES(problem)
