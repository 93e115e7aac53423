"""What controllers are given: numbers that are none, other integers, nothing at all."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    Coloring,
    Controller,
    EdgeSubset,
    FixedPopulation,
    LocalSearch,
    PolicyGradient,
    RandomSearch,
    RegularizedEvolution,
    Replay,
    SearchSpace,
)

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "random": RandomSearch,
    "fixed": partial(FixedPopulation, population_size=10),
    "evolution": partial(RegularizedEvolution, population_size=12),
    "gradient": PolicyGradient,
    "local": LocalSearch,
    "replay": lambda space, seed: Replay(RandomSearch(space, seed=seed), seed=seed),
}
each_controller = pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)


@each_controller
@pytest.mark.parametrize("space", [Coloring(6, 3), EdgeSubset(10, 4)])
def test_other_integers_and_other_orders_are_the_same_structures(
    make: Callable[..., Controller], space: SearchSpace
) -> None:
    plain, other = make(space, seed=0), make(space, seed=0)
    for _ in range(3):
        decisions = plain.propose(16)
        assert torch.equal(other.propose(16), decisions)
        objectives = (decisions == 0).sum(dim=1)
        plain.observe(decisions, objectives)
        reordered = decisions.flip(1) if isinstance(space, EdgeSubset) else decisions
        other.observe(reordered.int(), objectives)
    assert torch.equal(plain.best(), other.best())
    assert other.best().dtype == torch.int64


@each_controller
def test_numbers_of_proposals(make: Callable[..., Controller]) -> None:
    controller = make(Coloring(6, 3), seed=0)
    for n in (-1, 0, 2.5):
        with pytest.raises(StructuredLayersError, match=f"n must be an .* at least 1, got {n}"):
            controller.propose(n)


@each_controller
def test_nothing_observed(make: Callable[..., Controller]) -> None:
    controller = make(Coloring(6, 3), seed=0)
    with pytest.raises(StructuredLayersError, match="at least one structure, got none"):
        controller.observe(torch.empty(0, 6, dtype=torch.int64), torch.empty(0))
    assert controller.num_updates == 0


@each_controller
def test_nothing_is_known_before_the_first_observation(make: Callable[..., Controller]) -> None:
    controller = make(Coloring(6, 3), seed=0)
    assert controller.ranked(3).shape == (0, 6)
    decisions = controller.propose(20)
    controller.observe(decisions, (decisions == 0).sum(dim=1))
    assert 1 <= len(controller.ranked(3)) <= 3
    assert controller.ranked(0).shape == (0, 6)


@each_controller
@pytest.mark.parametrize("seed", [2.5, -1, "3"])
def test_seeds(make: Callable[..., Controller], seed: object) -> None:
    with pytest.raises(StructuredLayersError, match=f"seed must be an integer .*, got {seed!r}"):
        make(Coloring(6, 3), seed=seed)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(RegularizedEvolution, population_size=2.5), "population_size .* got 2.5"),
        (partial(RegularizedEvolution, population_size="3"), "population_size .* got '3'"),
        (partial(RegularizedEvolution, tournament_size=2.5), "tournament_size .* got 2.5"),
        (partial(FixedPopulation, population_size=2.5), "population_size .* got 2.5"),
    ],
)
def test_sizes(make: Callable[..., Controller], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make(Coloring(6, 3))
