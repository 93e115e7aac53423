"""Selection, crossover and mutation of ERL, and the allocation of CERL."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn

from structured_layers import LatentLinear, StructuredLayersError, ToeplitzLinear, mlp
from structured_layers.algorithms.erl import (
    EvolutionSettings,
    Mutation,
    UCBAllocation,
    cross,
    layout_of,
    mutate,
    next_generation,
)
from structured_layers.layers.weight_decoder import WeightDecoder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_layout_follows_the_vector_of_parameters() -> None:
    network = nn.Sequential(
        LatentLinear(3, 4, decoder=WeightDecoder(4, 3, latent_size=2)), nn.Tanh(), nn.Linear(4, 2)
    )
    blocks = layout_of(network)
    sizes = [p.numel() for p in network.parameters()]
    assert [b.stop - b.start for b in blocks] == sizes
    names = [name for name, _ in network.named_parameters()]
    assert [b.is_code for b in blocks] == [name == "0.values" for name in names]
    assert blocks[names.index("2.weight")][1:3] == (2, 4)  # a row for each unit


def test_shared_values_are_rows_of_one_entry() -> None:
    blocks = layout_of(mlp(3, [4], 2, layer=ToeplitzLinear))
    assert {block.width for block in blocks} == {1}


def test_mutation_is_relative_for_weights_and_absolute_for_codes() -> None:
    network = nn.Sequential(LatentLinear(30, 40, decoder=WeightDecoder(40, 30, latent_size=2000)))
    layout = layout_of(network)
    plain = Mutation(share=1.0, strength=0.1, super_probability=0.0, reset_probability=0.0)
    zeros = torch.zeros(layout[-1].stop)
    changed = mutate(zeros, layout, plain, generator())
    for block in layout:
        part = changed[block.start : block.stop]
        if block.is_code:
            error = 0.1 / math.sqrt(2 * len(part))  # standard error of a standard deviation
            assert abs(float(part.std()) - 0.1) < 4 * error
        else:
            assert torch.equal(part, torch.zeros_like(part))
    assert not zeros.any()


def test_mutation_changes_the_share_that_was_asked_for() -> None:
    layout = layout_of(nn.Linear(100, 100))
    vector = torch.ones(layout[-1].stop)
    share = float(
        (mutate(vector, layout, Mutation(share=0.1), generator()) != vector).float().mean()
    )
    assert abs(share - 0.1) < 4 * math.sqrt(0.1 * 0.9 / len(vector))


def test_resets_draw_anew() -> None:
    layout = layout_of(nn.Linear(50, 50))
    vector = torch.full((layout[-1].stop,), 100.0)
    made = mutate(
        vector, layout, Mutation(share=1.0, super_probability=0, reset_probability=1), generator()
    )
    assert abs(float(made.mean())) < 4 / math.sqrt(len(made))


def test_crossover_of_neurons_keeps_rows_whole() -> None:
    layout = layout_of(nn.Linear(5, 40))
    first, second = torch.zeros(240), torch.ones(240)
    child = cross(first, second, layout, "neurons", generator())
    rows = child[:200].reshape(40, 5)
    assert (rows == rows[:, :1]).all()
    assert 0 < int(rows[:, 0].sum()) < 40


@pytest.mark.parametrize("kind", ["uniform", "arithmetic", "one_point"])
def test_other_crossovers_stay_between_the_parents(kind: str) -> None:
    child = cross(torch.zeros(40), torch.ones(40), (), kind, generator())
    assert ((child >= 0) & (child <= 1)).all()
    assert 0 < float(child.mean()) < 1


def test_elites_go_on_and_failures_have_no_children() -> None:
    weights = torch.arange(6.0)[:, None].repeat(1, 8)
    fitness = torch.tensor([3.0, torch.nan, 9.0, 1.0, torch.nan, 7.0])
    settings = EvolutionSettings(elite_share=1 / 3)
    made = next_generation(weights, fitness, layout_of(nn.Linear(7, 1)), settings, generator())
    assert made.num_elites == 2
    assert torch.equal(made.weights[:2], weights[[2, 5]])
    assert made.weights.shape == weights.shape
    assert not {1, 4} & set(made.parents.tolist())


PLAIN = Mutation(share=1.0, super_probability=0.0, reset_probability=0.0)


def after_one(**settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 200 different rows and the generation after them; later rows are fitter."""
    weights = torch.arange(1.0, 201.0)[:, None].repeat(1, 8)
    chosen = EvolutionSettings(**{"elite_share": 0.005, "crossover_share": 0.0, **settings})
    layout = layout_of(nn.Linear(7, 1))
    made = next_generation(weights, torch.arange(200.0), layout, chosen, generator())
    return weights, made.weights


def test_the_fittest_of_a_tournament_wins() -> None:
    _, made = after_one(tournament_size=2_000, mutation=Mutation(probability=0.0))
    assert (made >= 199).all()


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_actors_are_mutated_as_often_as_was_asked_for(probability: float) -> None:
    mutation = dataclasses.replace(PLAIN, probability=probability)
    weights, made = after_one(mutation=mutation)
    is_mutated = ~torch.isin(made[1:, 0], weights[:, 0])
    error = math.sqrt(probability * (1 - probability) / len(is_mutated))
    assert abs(float(is_mutated.float().mean()) - probability) <= 4 * error


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_children_of_two_are_as_many_as_was_asked_for(share: float) -> None:
    _, made = after_one(
        crossover_share=share, crossover="arithmetic", tournament_size=1,
        mutation=Mutation(probability=0.0),
    )  # fmt: skip
    is_child = made[1:, 0] != made[1:, 0].round()  # all parents are whole numbers
    error = math.sqrt(share * (1 - share) / len(is_child))
    # a winner may be the elite itself, whose child is itself
    assert abs(float(is_child.float().mean()) - share) <= 4 * error + 5 / len(is_child)


@pytest.mark.parametrize("factor", [10.0, 100.0])
def test_strong_mutations_are_as_strong_as_was_asked_for(factor: float) -> None:
    assert Mutation().super_strength == 10.0
    strong = Mutation(
        share=1.0, strength=0.1, super_probability=1.0, super_strength=factor, reset_probability=0
    )
    layout = layout_of(nn.Linear(100, 100))
    ones = torch.ones(layout[-1].stop)
    spread = float((mutate(ones, layout, strong, generator()) - ones).std())
    assert abs(spread - 0.1 * factor) < 4 * 0.1 * factor / math.sqrt(2 * len(ones))


def test_generations_of_one_seed_are_equal() -> None:
    weights, fitness = torch.randn(5, 8, generator=generator(1)), torch.arange(5.0)
    layout, settings = layout_of(nn.Linear(7, 1)), EvolutionSettings(crossover="uniform")
    first, second = (
        next_generation(weights, fitness, layout, settings, generator(3)) for _ in range(2)
    )
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.weights[1:], weights[1:])


def test_a_population_that_failed_is_refused() -> None:
    with pytest.raises(StructuredLayersError, match="every actor of the population failed"):
        next_generation(
            torch.zeros(3, 2), torch.full((3,), torch.nan), (), EvolutionSettings(), generator()
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elite_share": 0.0}, "elite_share"),
        ({"tournament_size": 0}, "tournament_size"),
        ({"tournament_size": 2.5}, "tournament_size must be an integer"),
        ({"crossover_share": 2.0}, "crossover_share"),
        ({"crossover": "none"}, "neurons, uniform"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        EvolutionSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["share", "strength", "probability", "super_strength"])
def test_mutations_are_checked(name: str) -> None:
    with pytest.raises(StructuredLayersError, match=name):
        Mutation(**{name: -0.5})
    with pytest.raises(StructuredLayersError, match="sum to at most 1"):
        Mutation(super_probability=0.6, reset_probability=0.6)


def test_every_learner_acts_once_before_any_acts_twice() -> None:
    allocation = UCBAllocation(3, generator=generator())
    order = []
    for _ in range(3):
        order.append(allocation.draw())
        allocation.observe(order[-1], 1.0)
    assert order == [0, 1, 2]


def test_better_and_rarer_learners_are_likelier() -> None:
    allocation = UCBAllocation(3, generator=generator())
    for learner, value in ((0, 10.0), (1, 0.0), (1, 0.0), (1, 0.0), (2, 0.0)):
        allocation.observe(learner, value)
    best, often, seldom = allocation.probabilities().tolist()
    assert best > seldom > often > 0
    # u_i = v_i + c·sqrt(log(Σ y) / y_i), by hand
    scores = [1 + 0.9 * math.sqrt(math.log(5)), 0.9 * math.sqrt(math.log(5) / 3)]
    scores.append(0.9 * math.sqrt(math.log(5)))
    assert best == pytest.approx(scores[0] / sum(scores))


def test_returns_are_averaged_exponentially() -> None:
    allocation = UCBAllocation(1, memory=0.8, generator=generator())
    for value in (10.0, 0.0, math.nan):
        allocation.observe(0, value)
    assert float(allocation.values[0]) == pytest.approx(8.0)
    assert int(allocation.counts[0]) == 3


def test_an_allocation_goes_on_from_its_state() -> None:
    first, second = (UCBAllocation(2, generator=generator(5)) for _ in range(2))
    for learner in (0, 1, 0):
        first.observe(learner, float(learner))
    second.load_state_dict(first.state_dict())
    assert [first.draw() for _ in range(20)] == [second.draw() for _ in range(20)]
    with pytest.raises(StructuredLayersError, match="num_learners"):
        UCBAllocation(3, generator=generator()).load_state_dict(first.state_dict())
