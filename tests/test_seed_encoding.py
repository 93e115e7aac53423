"""Individuals that are seeds, and the crossovers that they are made by."""

import dataclasses
import pickle
from typing import Any

import pytest
import torch
from equal_states import same_state
from genetic_cases import make_search, sphere

from structured_layers import StructuredLayersError
from structured_layers.algorithms.latent.crossover import CROSSOVERS
from structured_layers.algorithms.latent.seed_encoding import Individual, Lineages

each_crossover = pytest.mark.parametrize("crossover", [None, *CROSSOVERS])


def test_a_state_holds_seeds_and_no_weights_but_the_founders() -> None:
    sizes = []
    for size in (10, 1000):
        search = make_search(sphere(size=size), initial=torch.zeros(size))
        search.run(6)
        state = search.state_dict()["parents"]
        assert state["founders"].shape == (1, size)
        sizes.append(state["births"].numel())
        assert state["births"].shape[0] <= 1 + 4 * 6
    assert sizes[0] <= 4 * 25 and sizes[1] <= 4 * 25


def test_weights_follow_from_seeds_alone() -> None:
    founders = torch.randn(2, 5)
    scales = torch.ones(5)
    lineages = Lineages(founders, scales, CROSSOVERS["uniform"])
    one, two = Individual((), 0), Individual((), 1)
    for seed in range(300):  # deeper than what recursion on ancestors could take cheaply
        one = Individual((one,), seed, 0.1)
    child = Individual((one, two), 7, 0.2)
    expected = founders[0]
    for seed in range(300):
        noise = torch.randn(5, generator=torch.Generator().manual_seed(seed))
        expected = expected + 0.1 * noise
    assert torch.equal(lineages.weights(one), expected)
    lineages.remember([one])
    from_memory = lineages.weights(child)
    again = Lineages(founders, scales, CROSSOVERS["uniform"])
    (restored,) = again.load_state_dict(lineages.state_dict([child]))
    assert torch.equal(again.weights(restored), from_memory)


@each_crossover
def test_offspring_are_the_bits_of_their_lineages(crossover: str | None) -> None:
    lineages = Lineages(torch.randn(3, 6), torch.rand(6) + 0.5, CROSSOVERS.get(crossover or ""))
    parents = [Individual((), number) for number in range(3)]
    lineages.remember(parents[:2])
    pairs = [parents[:2], parents[1:], parents[2:0:-1]]
    children = [Individual(tuple(p[: 1 + (crossover is not None)]), 5, 0.3) for p in pairs]
    everyone = [*children, *parents, children[0]]
    offspring = lineages.describe(everyone)
    expected = torch.stack([lineages.weights(one) for one in everyone])
    assert torch.equal(offspring.rows(0, 7), expected)
    assert torch.equal(offspring.rows(2, 4), expected[2:4])


def test_what_an_actor_is_told_does_not_grow_with_the_weights() -> None:
    sizes = []
    for size in (10, 10_000):
        lineages = Lineages(torch.zeros(1, size), torch.ones(size), None)
        children = [Individual((Individual((), 0),), seed, 0.1) for seed in range(8)]
        offspring = lineages.describe(children)
        told = dataclasses.replace(offspring, center=offspring.center.new_empty(0))
        sizes.append(len(pickle.dumps(told)))
    # PyTorch's pickles hold addresses in decimal digits, of which there are not always as many
    assert abs(sizes[0] - sizes[1]) < 16


@pytest.mark.parametrize("name", CROSSOVERS)
def test_a_crossed_child_lies_between_its_parents(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.zeros(100), torch.ones(100)
    children = torch.stack([CROSSOVERS[name](first, second, generator) for _ in range(200)])
    assert ((children >= 0) & (children <= 1)).all()
    # each entry is from either parent with the same probability: 200 draws, variance at most 1/4
    assert abs(float(children.mean(dim=0)[50]) - 0.5) < 4 * 0.5 / 200**0.5
    if name != "arithmetic":
        assert set(children.unique().tolist()) == {0.0, 1.0}


def test_a_damaged_lineage_is_refused() -> None:
    search = make_search()
    search.run(3)
    before = search.state_dict()
    state = search.state_dict()
    state["parents"]["births"] = state["parents"]["births"].flip(0)
    with pytest.raises(StructuredLayersError, match="does not fit this search"):
        search.load_state_dict(state)
    assert same_state(search.state_dict(), before)


def test_seeds_that_give_other_weights_are_refused() -> None:
    crossovers = [lambda first, second, _: first, lambda first, second, _: (first + second) / 2]
    search, other = (make_search(crossover=crossover) for crossover in crossovers)
    search.run(3)  # both functions are called the same
    before = other.state_dict()
    with pytest.raises(StructuredLayersError, match="give other weights.*same crossover function"):
        other.load_state_dict(search.state_dict())
    assert same_state(other.state_dict(), before)


def test_a_crossover_may_work_in_place() -> None:
    crossovers = [lambda first, second, _: first.mul_(0.5), lambda first, second, _: 0.5 * first]
    searches = [make_search(crossover=crossover) for crossover in crossovers]
    for search in searches:
        search.run(4)
    assert torch.equal(searches[0].population.values, searches[1].population.values)
    assert torch.equal(searches[0].elite_solution(), searches[1].elite_solution())


@pytest.mark.parametrize(
    ("crossover", "got"),
    [
        (lambda first, second, _: first[:2], r"\(2,\), torch.float32"),
        (lambda first, second, _: first.double(), r"\(4,\), torch.float64"),
        (lambda first, second, _: None, "None"),
    ],
    ids=["length", "dtype", "none"],
)
def test_a_crossover_makes_a_vector_like_its_parents(crossover: Any, got: str) -> None:
    with pytest.raises(StructuredLayersError, match=rf"its parents, \(4,\), .*float32, got {got}"):
        make_search(crossover=crossover).run(2)
