"""The options of ES: estimators, directions, top pairs, decay, and what it refuses."""

import math

import pytest
import torch
from evotorch import Problem
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES, Estimator
from structured_layers.algorithms.directions import gaussian, hadamard
from structured_layers.algorithms.gradient_estimators import antithetic
from structured_layers.algorithms.perturbation import Perturbation
from structured_layers.algorithms.top_directions import top_directions
from structured_layers.errors import EvaluationError

ESTIMATORS = ("antithetic", "forward", "vanilla")
DIRECTIONS = ("gaussian", "orthogonal", "hadamard", "coordinate")


def sphere(**options: object) -> Problem:
    defaults: dict[str, object] = {
        "solution_length": 4, "initial_bounds": (-1, 1), "vectorized": True
    }  # fmt: skip
    return Problem("min", lambda x: ((x - 1) ** 2).sum(-1), **{**defaults, **options})


def make_search(**options: object) -> ES:
    defaults = {"popsize": 8, "center_init": torch.zeros(4), "seed": 0}
    return ES(sphere(), **{**defaults, **options})


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("directions", DIRECTIONS)
def test_every_combination_solves_the_sphere(estimator: str, directions: str) -> None:
    search = make_search(
        popsize=20,
        estimator=estimator,
        directions=directions,
        center_learning_rate=0.03,
        baseline="mean" if estimator == "vanilla" else None,
    )
    search.run(300)
    assert (search.status["center"] - 1).norm() < 0.3  # 2 at the start


@pytest.mark.parametrize(
    ("estimator", "num_center"), [("antithetic", 0), ("forward", 1), ("vanilla", 0)]
)
def test_popsize_counts_perturbed_candidates_and_the_centre_comes_on_top(
    estimator: str, num_center: int
) -> None:
    search = make_search(estimator=estimator)
    search.step()
    assert len(search.population) == 8
    assert (0 if search.center_population is None else len(search.center_population)) == num_center
    more = make_search(estimator=estimator, num_center_evaluations=3)
    more.step()
    assert len(more.center_population) == 3
    assert torch.equal(more.population.values, search.population.values)


@pytest.mark.parametrize("estimator", ["forward", "vanilla"])
def test_an_odd_popsize_is_fine_where_nothing_is_paired(estimator: str) -> None:
    search = make_search(estimator=estimator, popsize=7)
    search.step()
    assert len(search.population) == 7


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_step_is_the_formula(estimator: str) -> None:
    search = make_search(
        estimator=estimator, optimizer="sgd", ranking_method="raw", center_learning_rate=0.5
    )
    search.step()
    values = search.population.values.double()
    fitness = -search.population.evals[:, 0].double()
    if estimator == "antithetic":
        noise, weights = values[0::2] / 0.1, (fitness[0::2] - fitness[1::2]) / 2
    else:
        noise, weights = values / 0.1, fitness + (4.0 if estimator == "forward" else 0.0)
    gradient = (weights[:, None] * noise).sum(0) / (len(noise) * 0.1)
    torch.testing.assert_close(
        search.status["center"].double(), 0.5 * gradient, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("ranking_method", ["raw", "centered", "std"])
def test_the_centre_is_shaped_together_with_those_it_is_compared_with(ranking_method: str) -> None:
    """Higher by the same amount, all of them: the step stays."""
    centers = []
    for offset in (0.0, 64.0):
        problem = Problem(
            "max",
            lambda x, offset=offset: (8 * x).round().sum(-1) + offset,
            solution_length=4,
            initial_bounds=(-1, 1),
            vectorized=True,
        )
        search = ES(
            problem,
            popsize=9,
            center_init=torch.zeros(4),
            estimator="forward",
            ranking_method=ranking_method,
            optimizer="sgd",
            seed=0,
        )
        search.step()
        centers.append(search.status["center"])
    torch.testing.assert_close(centers[0], centers[1], rtol=1e-4, atol=1e-6)


def test_directions_and_estimators_of_ones_own_are_used() -> None:
    def axes(num: int, dimension: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        return 2 * torch.eye(dimension, dtype=dtype)[:num]

    def first_only(plus: Tensor, minus: Tensor, noise: Tensor, stdev: float, **variates) -> Tensor:
        return antithetic(plus[:1], minus[:1], noise[:1], stdev, **variates)

    search = make_search(directions=axes, estimator=first_only, optimizer="sgd")
    search.step()
    assert torch.equal(search.population.values[0::2], 0.2 * torch.eye(4))
    moved = search.status["center"]
    assert moved[0] > 0 and torch.equal(moved[1:], torch.zeros(3))


def test_an_estimator_of_ones_own_says_what_it_needs() -> None:
    seen = []

    def compare(values: Tensor, center: Tensor, noise: Tensor, stdev: float, slope=None) -> Tensor:
        seen.append((values.shape, center.shape, noise.shape))
        return noise[0]

    search = make_search(estimator=Estimator(compare, mirrored=False, needs_center=True), popsize=5)
    search.step()
    assert seen == [((5,), (), (5, 4))]
    assert len(search.center_population) == 1


def test_directions_of_a_wrong_shape_are_refused() -> None:
    search = make_search(
        directions=lambda n, d, generator, dtype: torch.ones(n, d + 1, dtype=dtype)
    )
    with pytest.raises(StructuredLayersError, match=r"must return shape \(4, 4\), got \(4, 5\)"):
        search.step()


def test_top_pairs_by_either_rule() -> None:
    plus, minus = torch.tensor([1.0, 9.0, 4.0, 0.0]), torch.tensor([0.0, 8.5, -4.0, 5.0])
    assert top_directions(plus, minus, 2).tolist() == [1, 3]  # maxima 1, 9, 4, 5
    assert top_directions(plus, minus, 2, "difference").tolist() == [2, 3]  # 1, 0.5, 8, 5
    assert top_directions(torch.zeros(4), torch.zeros(4), 2).tolist() == [0, 1]


@pytest.mark.parametrize("rule", ["max", "difference"])
def test_a_step_follows_the_top_pairs_and_divides_by_their_deviation(rule: str) -> None:
    search = make_search(
        num_top=2, top_rule=rule, optimizer="sgd", ranking_method="std", center_learning_rate=0.5
    )
    search.step()
    values, fitness = search.population.values, -search.population.evals[:, 0].clone()
    noise, plus, minus = values[0::2] / 0.1, fitness[0::2], fitness[1::2]
    top = top_directions(plus, minus, 2, rule)
    kept = torch.cat([plus[top], minus[top]])
    weights = (plus[top] - minus[top]) / kept.std(correction=0)
    gradient = (weights[:, None] * noise[top]).sum(0) / (2 * 2 * 0.1)
    torch.testing.assert_close(search.status["center"], 0.5 * gradient, rtol=1e-4, atol=1e-5)


def test_all_pairs_are_the_top_pairs() -> None:
    every, top = make_search(), make_search(num_top=4)
    every.run(3)
    top.run(3)
    assert torch.equal(every.status["center"], top.status["center"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "clipup"])
def test_weight_decay_shrinks_the_centre_by_the_step_size(optimizer: str) -> None:
    start = torch.full((4,), 2.0)
    options = {"optimizer": optimizer, "center_init": start, "center_learning_rate": 0.1}
    plain, decayed = make_search(**options), make_search(**options, weight_decay=0.5)
    plain.step()
    decayed.step()
    difference = plain.status["center"] - decayed.status["center"]
    torch.testing.assert_close(difference, 0.1 * 0.5 * start)


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "forward", "slope": True},
        {"estimator": "vanilla", "baseline": "mean"},
        {"num_top": 2, "weight_decay": 0.1},
        {"slope": True, "optimizer": "clipup"},
    ],
    ids=str,
)
def test_a_search_goes_on_bit_for_bit(directions: str, options: dict) -> None:
    first, second = (make_search(directions=directions, seed=s, **options) for s in (0, 1))
    first.run(3)
    second.run(1)
    state = first.state_dict()
    for _ in range(2):
        second.load_state_dict(state)
    for _ in range(3):
        first.step()
        second.step()
        assert torch.equal(first.population.values, second.population.values)
        assert torch.equal(first.status["center"], second.status["center"])


@pytest.mark.parametrize("mirrored", [True, False])
def test_any_rows_of_a_perturbation_are_the_rows_of_the_whole(mirrored: bool) -> None:
    center = torch.randn(10, generator=torch.Generator().manual_seed(0))
    perturbation = Perturbation(center, 0.3, 7, gaussian, 6, mirrored)
    whole = perturbation.rows(0, len(perturbation) + 3)
    assert len(whole) == len(perturbation) + 3
    assert torch.equal(whole[len(perturbation) :], center.expand(3, -1))
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 1):
            assert torch.equal(perturbation.rows(start, stop), whole[start:stop])


def test_the_population_follows_from_its_description() -> None:
    search = make_search(directions=hadamard)
    search.step()
    perturbation = search._weights.perturbation
    assert torch.equal(perturbation.rows(0, 8), search.population.values)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_fitnesses_that_are_not_finite_are_refused_and_change_nothing(
    value: float, estimator: str
) -> None:
    broken = False

    def function(x: Tensor) -> Tensor:
        fitness = x.as_subclass(Tensor).sum(-1)
        if broken:
            fitness[2:4] = value
        return fitness

    problem = Problem("max", function, solution_length=4, initial_bounds=(-1, 1), vectorized=True)
    search, same = (
        ES(problem, popsize=8, center_init=torch.zeros(4), estimator=estimator, seed=0)
        for _ in range(2)
    )
    search.run(2)
    same.run(2)
    broken = True
    message = f"2 of [89] fitnesses are not finite, the first is {value} of candidate 2"
    with pytest.raises(EvaluationError, match=message):
        search.step()
    broken = False
    search.step()
    same.step()
    assert search.step_count == 3
    assert torch.equal(search.status["center"], same.status["center"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"popsize": 1}, "popsize must be an integer of at least 2, got 1"),
        ({"popsize": 1, "estimator": "vanilla"}, "at least 2, got 1"),
        ({"popsize": 8.0}, "must be an integer of at least 2, got 8.0"),
        ({"num_top": 0}, "num_top must be an integer from 1 to 4, the number of pairs, got 0"),
        ({"num_top": 5}, "got 5"),
        ({"num_top": 2, "estimator": "forward"}, "antithetic pairs"),
        ({"num_top": 2, "slope": True}, "slope=False"),
        ({"top_rule": "sum"}, "top_rule must be one of max, difference, got 'sum'"),
        ({"top_rule": "difference"}, "say with num_top how many to take"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0 .*, got -0.1"),
        ({"weight_decay": 100.0}, "below 1/0.01, one over the step size, got 100.0"),
        ({"weight_decay": math.nan}, "got nan"),
        ({"stdev_init": -1.0}, "stdev_init must be a positive.*, got -1.0"),
        ({"baseline": "median"}, "baseline must be 'mean'.*got 'median'"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_search(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": (-1, 1), "initial_bounds": None}, "cannot keep a problem's bounds"),
        ({"dtype": torch.int64}, "floating-point numbers, got dtype torch.int64"),
        ({"dtype": object, "initial_bounds": None}, "floating-point numbers, got dtype"),
    ],
)
def test_problems_that_no_strategy_serves(options: dict, message: str) -> None:
    if options.get("dtype") is object:
        options = {**options, "solution_length": None, "vectorized": None}
    problem = sphere(**options)
    with pytest.raises(StructuredLayersError, match=message):
        ES(problem, popsize=4)
