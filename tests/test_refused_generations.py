"""A generation that cannot be used raises, and leaves the search and its status as they were."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from evotorch import Problem
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES, ESENAS, Coloring, RandomSearch
from structured_layers.errors import EvaluationError

SPACE = Coloring(num_edges=3, num_colors=2)


class Breaking:
    """The sum of the weights, of which some candidates' become ``value`` on request."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.rows = slice(None)

    def __call__(self, x: Tensor) -> Tensor:
        fitness = x.as_subclass(Tensor)[:, :4].sum(-1)
        if self.value is not None:
            fitness[self.rows] = self.value
        return fitness


def make(function: Callable[[Tensor], Tensor], kind: str = "es", **options: object) -> ES | ESENAS:
    extra = SPACE.num_decisions if kind == "enas" else 0
    problem = Problem(
        "max", function, solution_length=4 + extra, initial_bounds=(-1, 1), vectorized=True
    )
    settings = {"popsize": 8, "center_init": torch.zeros(4), "seed": 0, **options}
    if kind == "enas":
        return ESENAS(problem, RandomSearch(SPACE, seed=1), **settings)
    return ES(problem, **settings, **({"optimizer": "cmaes"} if kind == "cmaes" else {}))


def status_of(search: ES | ESENAS) -> dict:
    """The status, solutions as their numbers."""
    plain = {}
    for key, value in search.status.items():
        if hasattr(value, "evals"):
            value = torch.cat([value.values, value.evals])
        plain[key] = value.clone() if isinstance(value, Tensor) else value
    return plain


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, other[key]), key
        else:
            assert value == other[key], key


@pytest.mark.parametrize("kind", ["es", "cmaes", "enas"])
@pytest.mark.parametrize("generations", [0, 3])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(2, 4), slice(None)], ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_fitnesses_that_are_not_finite(
    value: float, rows: slice, generations: int, kind: str
) -> None:
    function = Breaking()
    search, same = make(function, kind), make(Breaking(), kind)
    for one in (search, same):
        one.run(generations)
    before = status_of(search) if generations else {}
    function.value, function.rows = value, rows
    for _ in range(2):
        with pytest.raises(EvaluationError, match="fitnesses are not finite"):
            search.step()
        if generations:
            assert_same(status_of(search), before)
        else:
            assert search.population is None and "best_eval" not in search.status
    function.value = None
    for one in (search, same):
        one.run(2)
    assert_same(status_of(search), status_of(same))
    assert math.isfinite(search.status["best_eval"])
    assert math.isfinite(search.status["worst_eval"])


@pytest.mark.parametrize("generations", [0, 2])
def test_an_error_after_the_evaluation_leaves_no_record_of_it(generations: int) -> None:
    """The best solution of the refused generation would have been the best of all."""
    broken, heights = False, torch.zeros(1)

    def estimator(plus: Tensor, minus: Tensor, noise: Tensor, stdev: float) -> Tensor:
        return torch.full((4,), math.nan) if broken else noise.mean(dim=0)

    search = make(lambda x: x.as_subclass(Tensor).sum(-1) + heights, estimator=estimator)
    search.run(generations)
    before = status_of(search) if generations else {}
    population, state = search.population, search.state_dict()
    broken = True
    heights += 100
    with pytest.raises(EvaluationError, match="gradient is not finite in 4 of 4"):
        search.step()
    assert search.population is population
    assert torch.equal(search.state_dict()["center"], state["center"])
    if generations:
        assert_same(status_of(search), before)
    broken = False
    heights -= 100
    search.step()
    assert search.status["best_eval"] < 50


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "clipup"])
def test_a_gradient_beyond_the_numbers_is_not_followed(optimizer: str) -> None:
    function = Breaking()
    search = make(function, ranking_method="raw", optimizer=optimizer)
    search.run(2)
    before = status_of(search)
    function.value, function.rows = -3e38, slice(0, 1)
    with pytest.raises(EvaluationError, match="not finite"):
        search.step()
    assert_same(status_of(search), before)
    function.value = None
    search.step()
    assert search.status["center"].isfinite().all()


def test_a_step_beyond_the_numbers_is_not_made() -> None:
    search = make(lambda x: 1e3 * x.sum(-1), ranking_method="raw", optimizer="sgd",
                  center_learning_rate=1e36)  # fmt: skip
    with pytest.raises(EvaluationError, match="weights that are not finite"):
        search.step()
    assert torch.equal(search.status["center"], torch.zeros(4))


def test_huge_fitnesses_have_a_standard_deviation() -> None:
    """In single precision their sum overflows, and nothing would be left of them."""
    centers = []
    for scale in (1.0, 2.0**123):  # powers of two round nothing
        search = make(lambda x, s=scale: s * (8 + x.as_subclass(Tensor).sum(-1)), optimizer="sgd")
        search.step()
        centers.append(search.status["center"])
    assert centers[0].norm() > 0
    torch.testing.assert_close(*centers)


@pytest.mark.parametrize("value", [0.1, 0.3, 3.3, 1234.567, -7.7])
@pytest.mark.parametrize("estimator", ["vanilla", "forward", "antithetic"])
def test_equal_fitnesses_say_nothing(estimator: str, value: float) -> None:
    """Their standard deviation is not zero but rounding: 7e-9 for a hundred times 0.1."""
    search = make(
        lambda x: torch.full((len(x),), value), estimator=estimator, popsize=100, optimizer="sgd"
    )
    search.step()
    assert torch.equal(search.status["center"], torch.zeros(4))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (torch.ones(()), r"must return a tensor of shape \(4,\), got \(\)"),
        (torch.ones(3), r"must return a tensor of shape \(4,\), got \(3,\)"),
        (torch.ones(1, 4), r"got \(1, 4\)"),
        (0.5, "got 0.5"),
        (None, "got None"),
        (torch.tensor([1.0, math.inf, 1.0, 1.0]), "not finite in 1 of 4 entries"),
    ],
    ids=str,
)
def test_an_estimator_must_return_a_gradient(returned: object, message: str) -> None:
    search = make(Breaking(), estimator=lambda plus, minus, noise, stdev: returned)
    with pytest.raises(StructuredLayersError, match=message):
        search.step()
    assert torch.equal(search.status["center"], torch.zeros(4))
    assert search.step_count == 0


@pytest.mark.parametrize("kind", ["es", "cmaes", "enas"])
def test_a_start_must_be_finite_numbers(kind: str) -> None:
    for values in ([0.0, math.nan, 0.0, math.inf], torch.tensor([0.0, math.nan, 0.0, -math.inf])):
        with pytest.raises(StructuredLayersError, match="center_init must be finite, got 2 of 4"):
            make(Breaking(), kind, center_init=values)
    for values in ("center", [0.0, "x", 0.0, 0.0], [[0.0], [1.0, 2.0]], object()):
        with pytest.raises(StructuredLayersError, match="center_init must be 4 numbers, got"):
            make(Breaking(), kind, center_init=values)
    with pytest.raises(StructuredLayersError, match=r"must have shape \(4,\).*got \(3,\)"):
        make(Breaking(), kind, center_init=[0.0, 0.0, 0.0])


def test_arrays_and_lists_are_a_start() -> None:
    start = np.array([1.0, 2.0, 3.0, 4.0])
    for values in (start, start.tolist(), tuple(start), torch.nn.Parameter(torch.tensor(start))):
        search = make(Breaking(), center_init=values)
        center = search.status["center"]
        assert center.dtype == torch.float32
        assert center.tolist() == [1.0, 2.0, 3.0, 4.0]
        search.step()
    assert start.tolist() == [1.0, 2.0, 3.0, 4.0]
