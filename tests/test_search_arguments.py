"""Arguments of a wrong type or size are refused when the search is made, under their own names."""

import math

import numpy as np
import pytest
import torch
from evotorch import Problem
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES, ESENAS, Coloring, Estimator, RandomSearch
from structured_layers.algorithms.gradient_estimators import (
    antithetic,
    forward_difference,
    vanilla,
)

SPACE = Coloring(num_edges=3, num_colors=2)


def problem(length: int = 4) -> Problem:
    return Problem(
        "min", lambda x: (x**2).sum(-1), solution_length=length, initial_bounds=(-1, 1),
        vectorized=True,
    )  # fmt: skip


CASES = [
    ({"popsize": "8"}, "popsize must be an integer of at least 2, got '8'"),
    ({"popsize": None}, "popsize must be an integer of at least 2, got None"),
    ({"popsize": True}, "popsize must be an integer of at least 2, got True"),
    ({"num_center_evaluations": 1.5}, "num_center_evaluations must be an integer.*got 1.5"),
    ({"num_center_evaluations": math.nan}, "num_center_evaluations must be an integer.*got nan"),
    ({"baseline": 3}, "baseline must be .*, a Baseline or None, got 3"),
    ({"seed": 1.5}, "seed must be an integer from 0 to 2.*got 1.5"),
    ({"seed": -1}, "seed must be an integer from 0 to 2.*got -1"),
    ({"seed": 2**64}, "seed must be an integer"),
    ({"num_top": 2.5}, "num_top must be an integer from 1 to 4, the number of pairs, got 2.5"),
    ({"stdev_init": "0.1"}, "stdev_init must be a positive, finite number, got '0.1'"),
    ({"stdev_init": None}, "stdev_init must be a positive, finite number, got None"),
    ({"center_learning_rate": "1"}, "center_learning_rate must be a positive.*got '1'"),
    ({"weight_decay": "1"}, "weight_decay must be at least 0.*got '1'"),
    ({"stdev_schedule": 0.5}, "stdev_schedule must be a function.*got 0.5"),
    ({"learning_rate_schedule": "linear"}, "learning_rate_schedule must be a function"),
    ({"slope": "yes"}, "slope must be True or False, got 'yes'"),
    ({"ranking_method": None}, "ranking_method must be one of .*got None"),
    ({"optimizer": torch.optim.Adam}, "optimizer must be one of"),
    ({"optimizer": ["adam"]}, "optimizer must be one of"),
    ({"estimator": ["vanilla"]}, "estimator must be one of"),
    ({"directions": ["gaussian"]}, "directions must be one of"),
]


@pytest.mark.parametrize(("options", "message"), CASES, ids=str)
def test_both_searches_refuse(options: dict, message: str) -> None:
    arguments = {"popsize": 8, **options}
    with pytest.raises(StructuredLayersError, match=message):
        ES(problem(), **arguments)
    with pytest.raises(StructuredLayersError, match=message):
        ESENAS(problem(4 + SPACE.num_decisions), RandomSearch(SPACE, seed=0), **arguments)


@pytest.mark.parametrize("make", [ES, lambda p: ESENAS(p, RandomSearch(SPACE))])
def test_a_function_is_no_problem(make) -> None:
    with pytest.raises(StructuredLayersError, match="problem must be an EvoTorch Problem"):
        make(lambda x: x)


def test_numpys_numbers_are_numbers() -> None:
    search = ES(
        problem(),
        popsize=np.int64(8),
        stdev_init=np.float32(0.5),
        num_center_evaluations=np.int32(1),
        num_top=np.int64(2),
        seed=np.uint64(3),
    )
    search.step()
    assert len(search.population) == 8
    assert search.status["stdev"] == 0.5


def test_an_estimator_without_a_slope_serves_searches_without_one() -> None:
    def plain(plus: Tensor, minus: Tensor, directions: Tensor, stdev: float) -> Tensor:
        return antithetic(plus, minus, directions, stdev)

    def compare(values: Tensor, center: Tensor, directions: Tensor, stdev: float) -> Tensor:
        return forward_difference(values, center, directions, stdev)

    own = (plain, Estimator(compare, mirrored=False, needs_center=True))
    for estimator, named in zip(own, ("antithetic", "forward"), strict=True):
        centers = []
        for one in (estimator, named):
            search = ES(problem(), popsize=8, center_init=torch.ones(4), estimator=one, seed=0)
            search.run(3)
            centers.append(search.status["center"])
        assert torch.equal(*centers)
        with pytest.raises(StructuredLayersError, match="slope=True needs an estimator with the"):
            ES(problem(), popsize=8, estimator=estimator, slope=True)


def test_a_slope_is_passed_only_where_it_is_set() -> None:
    passed: list[dict] = []

    def recording(plus: Tensor, minus: Tensor, directions: Tensor, stdev: float, **rest) -> Tensor:
        passed.append(rest)
        return antithetic(plus, minus, directions, stdev, **rest)

    for slope in (False, True):
        ES(problem(), popsize=8, estimator=recording, slope=slope, seed=0).step()
    assert passed[0] == {}
    assert list(passed[1]) == ["slope"] and passed[1]["slope"].shape == (4,)


ROWS, VALUES = torch.ones(3, 2), torch.ones(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vanilla(torch.ones(4), ROWS, 0.1), "4 values need as many directions, got 3"),
        (lambda: vanilla(torch.ones(2), ROWS, 0.1), r"a row for each.*got \(3, 2\)"),
        (lambda: vanilla(torch.ones(3, 1), ROWS, 0.1), r"shape \(N,\), N at least 1, got \(3, 1\)"),
        (lambda: vanilla(torch.ones(0), ROWS[:0], 0.1), "N at least 1"),
        (lambda: vanilla(VALUES, VALUES, 0.1), r"directions must have shape \(N, d\)"),
        (lambda: vanilla(VALUES, [ROWS[:1], torch.ones(2, 3)], 0.1), r"got \(2, 3\)"),
        (lambda: vanilla(VALUES, [ROWS[:1]], 0.1), "3 values need as many directions, got 1"),
        (lambda: vanilla(VALUES, ROWS, 0.0), "stdev must be a positive, finite number, got 0.0"),
        (lambda: vanilla(VALUES, ROWS, 0.1, baseline=torch.ones(2)), r"their shape, got \(2,\)"),
        (lambda: vanilla(VALUES, ROWS, 0.1, slope=torch.ones(3)), r"slope must have shape \(2,\)"),
        (lambda: antithetic(torch.ones(1), VALUES, ROWS, 0.1), r"their shape, got \(3,\)"),
        (lambda: antithetic(VALUES, torch.ones(1), ROWS, 0.1), r"their shape, got \(1,\)"),
        (lambda: forward_difference(VALUES, torch.ones(2), ROWS, 0.1), r"their shape, got \(2,\)"),
    ],
)
def test_estimators_check_shapes(call, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        call()


def test_differences_are_taken_in_double_precision() -> None:
    large = torch.tensor([3e38])
    estimated = antithetic(large, -large, torch.full((1, 1), 1e-3), 1.0)
    assert estimated.tolist() == [pytest.approx(3e35)]
