"""The contract of all controllers, and what each of them does with what it observed."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from equal_states import same_state
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    Coloring,
    Controller,
    EdgeSubset,
    FixedPopulation,
    PolicyGradient,
    ProductSpace,
    RandomSearch,
    RegularizedEvolution,
    Replay,
    SearchSpace,
    UnitActivationChoice,
)
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "random": RandomSearch,
    "fixed": partial(FixedPopulation, population_size=10),
    "evolution": partial(RegularizedEvolution, population_size=12),
    "mutations": partial(RegularizedEvolution, population_size=12, num_mutations=3),
    "reinforce": partial(PolicyGradient, algorithm="reinforce", update_batch_size=4),
    "ppo": partial(PolicyGradient, update_batch_size=4),
    "replay": lambda space, seed=None: Replay(
        RegularizedEvolution(space, population_size=12, seed=seed), share=0.3, seed=seed
    ),
}
SPACES = {
    "coloring": Coloring(6, 3),
    "edges": EdgeSubset(10, 4),
    "product": ProductSpace([EdgeSubset(9, 3), UnitActivationChoice(4)]),
}
each_controller = pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def objective(decisions: Tensor) -> Tensor:
    """The number of decisions that are zero."""
    return (decisions == 0).sum(dim=1).float()


def train(controller: Controller, generations: int, n: int = 8) -> list[Tensor]:
    """Let the controller propose and observe; return what it proposed."""
    proposals = []
    for _ in range(generations):
        proposals.append(controller.propose(n))
        controller.observe(proposals[-1], objective(proposals[-1]))
    return proposals


@each_space
@each_controller
def test_proposals_and_the_best_are_members(
    make: Callable[..., Controller], space: SearchSpace
) -> None:
    controller = make(space, seed=0)
    for n in (1, 7, 150, 1, 5):
        decisions = controller.propose(n)
        assert decisions.shape == (n, space.num_decisions)
        assert decisions.dtype == torch.int64
        space.check(decisions)
        space.check(controller.best()[None])
        controller.observe(decisions, objective(decisions))
        space.check(controller.best()[None])
    assert controller.num_updates == 5


@each_space
@each_controller
def test_the_seed_determines_the_proposals(
    make: Callable[..., Controller], space: SearchSpace
) -> None:
    state = torch.get_rng_state()
    first, again, other = (train(make(space, seed=seed), 4) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    one, two = make(space), make(space)
    assert not torch.equal(one.propose(30), two.propose(30))
    assert torch.equal(torch.get_rng_state(), state)


@each_space
@each_controller
@pytest.mark.parametrize("generations", [0, 1, 5])
def test_a_controller_continues_from_its_checkpoint(
    make: Callable[..., Controller], space: SearchSpace, generations: int, tmp_path: Path
) -> None:
    controller, resumed = make(space, seed=0), make(space, seed=1)
    train(controller, generations)
    train(resumed, 2)
    write_checkpoint(tmp_path, controller.state_dict(), number=generations)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    assert resumed.num_updates == generations
    assert torch.equal(resumed.best(), controller.best())
    for mine, theirs in zip(train(resumed, 4), train(controller, 4), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(resumed.best(), controller.best())


@each_controller
def test_a_state_is_a_snapshot(make: Callable[..., Controller]) -> None:
    controller = make(SPACES["coloring"], seed=0)
    train(controller, 3)
    state, best = controller.state_dict(), controller.best()
    before = copy.deepcopy(state)
    expected = [*train(controller, 4), controller.best()]
    controller.observe(controller.propose(8), torch.arange(8.0))
    assert same_state(state, before)
    for _ in range(2):
        controller.load_state_dict(state)
        assert torch.equal(controller.best(), best)
        again = [*train(controller, 4), controller.best()]
        assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


@each_controller
def test_tensors_go_in_and_out_by_value(make: Callable[..., Controller]) -> None:
    untouched, controller = make(SPACES["coloring"], seed=0), make(SPACES["coloring"], seed=0)
    train(untouched, 4)
    for _ in range(4):
        decisions = controller.propose(8)
        objectives = objective(decisions).double()
        controller.observe(decisions, objectives)
        for tensor in (decisions, objectives, controller.best()):
            tensor.fill_(-7)
    assert torch.equal(controller.best(), untouched.best())
    assert torch.equal(controller.propose(8), untouched.propose(8))


@each_controller
@pytest.mark.parametrize(
    ("decisions", "objectives", "message"),
    [
        ([[0] * 5], [1.0], r"decisions must have shape \(n, 6\), got \(1, 5\)"),
        ([[0] * 5 + [3]], [1.0], "colours must lie in 0..2"),
        ([[0.0] * 6], [1.0], "must be integers"),
        ([[0] * 6], [1.0, 2.0], r"must be 1 finite numbers, one per structure, got shape \(2,\)"),
        ([[0] * 6], [[1.0]], r"got shape \(1, 1\)"),
        ([[0] * 6] * 2, [1.0, float("nan")], "must be 2 finite numbers"),
        ([[0] * 6] * 2, [float("inf"), 1.0], "must be 2 finite numbers"),
    ],
)
def test_bad_observations(
    make: Callable[..., Controller], decisions: list, objectives: list, message: str
) -> None:
    controller = make(SPACES["coloring"], seed=0)
    with pytest.raises(StructuredLayersError, match=message):
        controller.observe(torch.tensor(decisions), torch.tensor(objectives))
    assert controller.num_updates == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            partial(RegularizedEvolution, population_size=1),
            "population_size must be an integer of at least 2, got 1",
        ),
        (
            partial(RegularizedEvolution, population_size=5, tournament_size=6),
            "tournament_size must be an integer from 1 to 5, population_size, got 6",
        ),
        (partial(RegularizedEvolution, tournament_size=0), "from 1 to 100, population_size, got 0"),
        (partial(RegularizedEvolution, num_mutations=0), "num_mutations must be an integer of at"),
        (partial(FixedPopulation, population_size=0), "population_size must be an integer of at"),
        (partial(FixedPopulation, decay=1.0), r"decay must be in \[0, 1\), got 1.0"),
        (partial(FixedPopulation, decay=-0.1), r"decay must be in \[0, 1\), got -0.1"),
    ],
)
def test_bad_arguments(make: Callable[..., Controller], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make(SPACES["coloring"])


def best_found(controller: Controller, evaluations: int, n: int = 20) -> float:
    proposals = train(controller, evaluations // n, n)
    return float(objective(torch.cat(proposals)).max())


def test_evolution_finds_an_optimum_that_random_search_does_not() -> None:
    """Twenty edges of colour 0 out of four colours: one structure in 10^12."""
    space = Coloring(20, 4)
    for seed in range(3):
        evolution = RegularizedEvolution(space, population_size=50, seed=seed)
        assert best_found(evolution, 3000) == 20
        assert objective(evolution.best()[None]) >= 18  # the optimum itself may die of age
        assert best_found(RandomSearch(space, seed=seed), 3000) <= 15


def test_the_default_tournament_is_the_root_of_the_population() -> None:
    sizes = {n: RegularizedEvolution(SPACES["coloring"], population_size=n) for n in (2, 99, 100)}
    assert {n: c.tournament_size for n, c in sizes.items()} == {2: 1, 99: 9, 100: 10}


def test_the_oldest_members_die() -> None:
    space = Coloring(8, 5)
    controller = RegularizedEvolution(space, population_size=4, seed=0)
    controller.observe(controller.propose(4), torch.tensor([9.0, 8.0, 1.0, 2.0]))
    young = space.sample(2, torch.Generator().manual_seed(9))
    controller.observe(young, torch.tensor([5.0, 3.0]))
    assert torch.equal(controller.best(), young[0])  # 9 and 8 were the oldest
    younger = space.sample(9, torch.Generator().manual_seed(10))
    controller.observe(younger, torch.tensor([9.0, 9.0, 9.0, 9.0, 9.0, 1.0, 4.0, 3.0, 2.0]))
    assert torch.equal(controller.best(), younger[6])


def test_proposals_are_uniform_until_the_queue_is_full() -> None:
    space = Coloring(8, 5)
    controller = RegularizedEvolution(space, population_size=10, seed=4)
    generator = torch.Generator().manual_seed(4)
    space.sample(1, generator)
    for n in (6, 3, 1):
        decisions = controller.propose(n)
        assert torch.equal(decisions, space.sample(n, generator))
        controller.observe(decisions, objective(decisions))
    assert not torch.equal(controller.propose(9), space.sample(9, generator))


def parents_of(children: Tensor, members: Tensor) -> Tensor:
    """The position of the member that differs from each child by one decision."""
    distances = (children[:, None] != members[None]).sum(dim=2)
    assert (distances.min(dim=1).values == 1).all()
    return distances.argmin(dim=1)


def test_parents_are_the_winners_of_tournaments() -> None:
    """Of n members, the one of rank r (0 the best) wins in a share of C(n-1-r, k-1) / C(n, k)."""
    space, objectives = Coloring(30, 9), [3.0, 1.0, 4.0, 2.0]
    shares = {1: [1 / 4] * 4, 2: [3 / 6, 2 / 6, 1 / 6, 0], 4: [1, 0, 0, 0]}
    for tournament_size, expected in shares.items():
        controller = RegularizedEvolution(
            space, population_size=4, tournament_size=tournament_size, seed=0
        )
        members = controller.propose(4)
        controller.observe(members, torch.tensor(objectives))
        parents = parents_of(controller.propose(2000), members)
        by_rank = torch.bincount(parents, minlength=4)[[2, 0, 3, 1]] / 2000
        for share, p in zip(by_rank.tolist(), expected, strict=True):
            assert abs(share - p) <= 5 * (p * (1 - p) / 2000) ** 0.5


def test_children_differ_by_up_to_so_many_choices() -> None:
    """Two mutations hit the same edge of 30 in 1 of 30 cases, and undo each other in 1 of 8."""
    controller = RegularizedEvolution(
        Coloring(30, 9), population_size=2, tournament_size=2, num_mutations=3, seed=0
    )
    controller.observe(controller.propose(2), torch.tensor([1.0, 2.0]))
    distances = (controller.propose(3000) != controller.best()).sum(dim=1)
    shares = torch.bincount(distances, minlength=4) / 3000
    assert len(shares) == 4
    assert shares[0] < 0.01
    assert (shares[1:] > 0.25).all()


def test_random_search_remembers_the_best_it_saw() -> None:
    controller = RandomSearch(Coloring(4, 3), seed=0)
    rows = torch.tensor([[0, 1, 2, 0], [1, 1, 1, 1], [2, 2, 2, 2]])
    controller.observe(rows, torch.tensor([-5.0, -1.0, -3.0]))
    assert torch.equal(controller.best(), rows[1])
    controller.observe(rows[[0, 2]], torch.tensor([-1.5, -1.0]))  # no better, so the first stays
    assert torch.equal(controller.best(), rows[1])
    controller.observe(rows[[0]], torch.tensor([0.0]))
    assert torch.equal(controller.best(), rows[0])


def test_random_search_proposes_independently_of_what_it_saw() -> None:
    blind, seeing = (RandomSearch(SPACES["edges"], seed=0) for _ in range(2))
    train(seeing, 3)
    for _ in range(3):
        blind.propose(8)
    assert torch.equal(blind.propose(8), seeing.propose(8))


def test_a_fixed_population_goes_round() -> None:
    controller = FixedPopulation(Coloring(20, 9), population_size=5, seed=0)
    members = controller.propose(5)
    assert len(members.unique(dim=0)) == 5
    rows = [controller.propose(n) for n in (3, 12, 5)]
    expected = members[torch.arange(20) % 5]
    assert torch.equal(torch.cat(rows), expected)
    assert torch.equal(controller.best(), members[0])  # nothing is known yet


def test_a_fixed_population_averages_its_members_objectives() -> None:
    controller = FixedPopulation(Coloring(20, 9), population_size=3, decay=0.5, seed=0)
    members = controller.propose(3)
    controller.observe(members[[0, 1]], torch.tensor([4.0, 3.0]))
    assert torch.equal(controller.best(), members[0])
    controller.observe(members[[0, 0]], torch.tensor([2.0, 1.0]))  # 4 → 3 → 2
    assert torch.equal(controller.best(), members[1])
    controller.observe(members[[2]], torch.tensor([2.5]))
    assert torch.equal(controller.best(), members[1])
    controller.observe(members[[1]], torch.tensor([1.8]))  # 3 → 2.4
    assert torch.equal(controller.best(), members[2])


def test_structures_that_are_no_members_do_not_count() -> None:
    controller = FixedPopulation(Coloring(4, 3), population_size=1, seed=0)
    (member,) = controller.propose(1)
    controller.observe((member[None] + 1) % 3, torch.tensor([100.0]))
    assert torch.equal(controller.best(), member)
    assert controller.num_updates == 1
