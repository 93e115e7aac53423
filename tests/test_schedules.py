"""Schedules of the step size and the standard deviation."""

import math
from collections.abc import Callable

import pytest
import torch
from evotorch import Problem

from structured_layers import StructuredLayersError
from structured_layers.algorithms import ES, NamedSchedule
from structured_layers.algorithms.schedules import SCHEDULES


@pytest.mark.parametrize(
    ("name", "half"),
    [("constant", 1.0), ("linear", 0.55), ("cosine", 0.55), ("exponential", math.sqrt(0.1))],
)
def test_a_named_schedule_goes_from_one_to_its_final_factor(name: str, half: float) -> None:
    schedule = NamedSchedule(name, num_generations=50, final=0.1)
    assert schedule(0) == 1.0
    assert schedule(25) == pytest.approx(half)
    assert schedule(50) == schedule(1000) == pytest.approx(1.0 if name == "constant" else 0.1)
    factors = [schedule(generation) for generation in range(60)]
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("step", 10), "one of constant, linear, cosine, exponential, got 'step'"),
        (("linear", 0), "num_generations must be at least 1, got 0"),
        (("linear", 10, 0.0), "final factor must be positive, got 0.0"),
        (("linear", 10, math.nan), "final factor must be positive, got nan"),
    ],
)
def test_impossible_schedules(arguments: tuple, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        NamedSchedule(*arguments)


def make_search(optimizer: str = "sgd", **options: object) -> ES:
    problem = Problem(
        "max", lambda x: x.sum(-1), solution_length=3, initial_bounds=(-1, 1), vectorized=True
    )
    return ES(
        problem,
        popsize=6,
        center_init=torch.zeros(3),
        optimizer=optimizer,
        ranking_method="raw",
        seed=0,
        **options,
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "clipup"])
def test_the_step_size_follows_its_schedule(optimizer: str) -> None:
    """A step is linear in the step size; ClipUp's highest speed is scaled with it."""
    plain = make_search(optimizer)
    scheduled = make_search(optimizer, learning_rate_schedule=lambda generation: 0.5**generation)
    for generation in range(4):
        before = [search.status["center"].clone() for search in (plain, scheduled)]
        plain.step()
        scheduled.step()
        moves = [
            search.status["center"] - old
            for search, old in zip((plain, scheduled), before, strict=True)
        ]
        if optimizer != "clipup" or generation == 0:  # its velocity remembers older steps
            torch.testing.assert_close(moves[1], moves[0] * 0.5**generation, rtol=1e-4, atol=1e-7)
        else:
            assert moves[1].norm() < moves[0].norm()


def test_clipups_highest_speed_follows_the_step_size() -> None:
    """Large gradients in one direction make it run at its highest speed, 2 steps."""
    scheduled = make_search("clipup", learning_rate_schedule=lambda generation: 0.5**generation)
    for generation in range(6):
        scheduled.step()
        assert scheduled.status["update_norm"] <= 2 * 0.01 * 0.5**generation * (1 + 1e-5)


def test_weights_decay_by_the_scheduled_step_size() -> None:
    halved, plain = (
        make_search(weight_decay=decay, learning_rate_schedule=lambda generation: 0.5**generation)
        for decay in (20.0, 0.0)
    )
    halved.run(2)
    plain.run(2)
    # θ₂ = (1 − λη/2)(1 − λη)θ₀ + (1 − λη/2)s₁ + s₂, with θ₀ = 0 and λη = 0.2
    second = plain.status["center"] - (first := first_step())
    expected = (1 - 0.1) * first + second
    torch.testing.assert_close(halved.status["center"], expected, rtol=1e-4, atol=1e-7)


def first_step() -> torch.Tensor:
    search = make_search()
    search.step()
    return search.status["center"].clone()


def test_decay_that_a_schedule_makes_too_large_is_refused() -> None:
    search = make_search(
        weight_decay=50.0, learning_rate_schedule=lambda generation: 1.0 + generation
    )
    search.step()
    before = search.status["center"].clone()
    with pytest.raises(StructuredLayersError, match="weight_decay must be .*below 1/0.02"):
        search.step()
    assert torch.equal(search.status["center"], before)


@pytest.mark.parametrize("factor", [None, "half"])
def test_a_schedule_must_return_numbers(factor: object) -> None:
    search = make_search(stdev_schedule=lambda generation: factor)
    with pytest.raises(StructuredLayersError, match="schedule of stdev must return positive"):
        search.step()


def test_the_standard_deviation_follows_its_schedule() -> None:
    search = make_search(stdev_schedule=NamedSchedule("linear", num_generations=4, final=0.5))
    for expected in (0.1, 0.0875, 0.075, 0.0625, 0.05, 0.05):
        center = search.status["center"].clone()
        search.step()
        assert search.status["stdev"] == pytest.approx(expected)
        values = search.population.values
        spread = (values[0::2] - center) / expected
        torch.testing.assert_close(values[1::2], center - expected * spread)


class Halving:
    """A schedule with a state of its own."""

    def __init__(self) -> None:
        self.factor = 2.0

    def __call__(self, generation: int) -> float:
        self.factor /= 2
        return self.factor

    def state_dict(self) -> dict[str, float]:
        return {"factor": self.factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.factor = state["factor"]


@pytest.mark.parametrize(
    "make", [lambda: NamedSchedule("cosine", 6), Halving], ids=["named", "with a state"]
)
def test_a_search_goes_on_in_the_middle_of_its_schedules(make: Callable) -> None:
    first, second = (
        make_search("adam", learning_rate_schedule=make(), stdev_schedule=make()) for _ in range(2)
    )
    first.run(3)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        first.step()
        second.step()
        assert torch.equal(first.population.values, second.population.values)
        assert torch.equal(first.status["center"], second.status["center"])


@pytest.mark.parametrize("name", ["learning_rate", "stdev"])
@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_factors_must_be_positive(name: str, factor: float) -> None:
    search = make_search(**{f"{name}_schedule": lambda generation: factor if generation else 1.0})
    search.step()
    before = search.state_dict()
    with pytest.raises(StructuredLayersError, match=f"schedule of {name} must return positive"):
        search.step()
    after = search.state_dict()
    assert torch.equal(before["generator"], after["generator"])
    assert torch.equal(before["center"], after["center"])


def test_every_name_is_documented() -> None:
    assert all(name in NamedSchedule.__doc__ for name in SCHEDULES)
