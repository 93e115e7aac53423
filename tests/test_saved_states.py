"""States of other searches and controllers, and broken ones, are refused and change nothing."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from equal_states import same_state
from evotorch import Problem, SolutionBatch

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    ESENAS,
    ColoredEdges,
    Coloring,
    Controller,
    EdgeMask,
    EdgeSubset,
    FixedPopulation,
    LocalSearch,
    PolicyGradient,
    ProductSpace,
    RandomSearch,
    RegularizedEvolution,
    Replay,
    SearchSpace,
    TargetEdges,
    UnitActivationChoice,
)

NUM_WEIGHTS = 4


class Sum(Problem):
    """The sum of all values."""

    def __init__(self, space: SearchSpace) -> None:
        length = NUM_WEIGHTS + space.num_decisions
        super().__init__("max", solution_length=length, initial_bounds=(-1, 1), seed=1)

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        batch.set_evals(batch.values.sum(dim=1))


def small_evolution(space: SearchSpace) -> Controller:
    return RegularizedEvolution(space, population_size=8, seed=0)


def search(make: Callable[[SearchSpace], Controller], space: SearchSpace, **options: Any) -> ESENAS:
    one = ESENAS(Sum(space), make(space), **{"popsize": 8, "seed": 3, **options})
    one.run(2)
    return one


def assert_refused(asked: Any, state: dict[str, Any], message: str) -> None:
    before = copy.deepcopy(asked.state_dict())
    with pytest.raises(StructuredLayersError, match=message):
        asked.load_state_dict(state)
    assert same_state(asked.state_dict(), before)


SPACES = [
    EdgeSubset(20, 5), EdgeSubset(10, 5), Coloring(5, 10), Coloring(5, 3), EdgeMask(5),
    UnitActivationChoice(5, ["tanh", "sin"]), UnitActivationChoice(5, ["tanh", "cos"]),
    Coloring(2, 3) * Coloring(3, 3), Coloring(3, 3) * Coloring(2, 3),
    ProductSpace([Coloring(2, 3), Coloring(3, 3)], positions=[[0, 2], [1, 3, 4]]),
    ColoredEdges(Coloring(3, 3), EdgeSubset(3, 2)),
]  # fmt: skip


def test_a_fingerprint_tells_spaces_apart() -> None:
    prints = {space.fingerprint for space in SPACES}
    assert len(prints) == len(SPACES)
    assert EdgeSubset(20, 5).fingerprint in prints
    assert EdgeSubset(20, 5).fingerprint.startswith("EdgeSubset of 5 decisions (")


@pytest.mark.parametrize(
    "make", [RandomSearch, FixedPopulation, small_evolution, LocalSearch, PolicyGradient]
)
@pytest.mark.parametrize("saved", [Coloring(5, 10), EdgeSubset(10, 5), EdgeSubset(20, 6)])
def test_states_of_other_spaces(
    make: Callable[[SearchSpace], Controller], saved: SearchSpace
) -> None:
    space = EdgeSubset(20, 5)
    for wrapped in (make, lambda space: Replay(make(space), seed=0)):
        other, asked = search(wrapped, saved), search(wrapped, space)
        assert_refused(asked, other.state_dict(), "this search is .*EdgeSubset of 5 .*, the state")
        state = other.controller.state_dict()
        assert_refused(asked.controller, state, "this controller is .*EdgeSubset of 5 .*, the")
        asked.step()


@pytest.mark.parametrize(
    ("saved", "asked"),
    [
        ({"phase_length": 5}, {"phase_length": 5, "popsize": 12}),
        ({"objective": TargetEdges(EdgeMask(6), 3)}, {}),
        ({"estimator": "forward"}, {}),
    ],
)
def test_states_of_other_settings(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    space = EdgeMask(6)
    other, one = search(RandomSearch, space, **saved), search(RandomSearch, space, **asked)
    assert_refused(one, other.state_dict(), "make the search with the settings")
    one.step()


def test_what_is_replayed_is_part_of_the_kind() -> None:
    def replay(make: Callable[[SearchSpace], Controller]) -> Callable[[SearchSpace], Controller]:
        return lambda space: Replay(make(space), seed=0)

    space = Coloring(6, 3)
    other, asked = search(replay(RandomSearch), space), search(replay(small_evolution), space)
    for one, state in (
        (asked, other.state_dict()),
        (asked.controller, other.controller.state_dict()),
    ):
        assert_refused(one, state, r"Replay\(RegularizedEvolution\).* of .*Replay\(RandomSearch\)")


@pytest.mark.parametrize("make", [RandomSearch, small_evolution, PolicyGradient, LocalSearch])
def test_a_state_that_breaks_off_is_taken_back(make: Callable[[SearchSpace], Controller]) -> None:
    asked, other = search(make, Coloring(6, 3)), search(make, Coloring(6, 3))
    other.run(2)
    state = other.state_dict()
    last = list(state["controller"])[-1]
    del state["controller"][last]
    assert_refused(asked.controller, state["controller"], f"does not fit this .*KeyError: '{last}'")
    assert_refused(asked, state, f"not fit this controller.*KeyError: '{last}'")
    del state["controller"]
    assert_refused(asked, state, "does not fit this search, .*KeyError: 'controller'")


def test_a_network_of_another_size_is_taken_back() -> None:
    asked, other = PolicyGradient(Coloring(6, 3), seed=0), PolicyGradient(Coloring(7, 3), seed=1)
    state = other.state_dict()
    del state["kind"]  # as if it had not said so
    assert_refused(asked, state, "does not fit this controller, which stays as it was: RuntimeErr")


def test_states_from_before_spaces_and_estimators_were_named() -> None:
    one, other = (search(small_evolution, Coloring(6, 3)) for _ in range(2))
    one.run(3)
    state = one.state_dict()
    del state["search"]["space"], state["search"]["estimator"], state["controller"]["kind"]
    other.load_state_dict(state)
    one.run(2)
    other.run(2)
    assert torch.equal(one.center_solution(), other.center_solution())
