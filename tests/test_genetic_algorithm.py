"""The genetic algorithm: selection, mutation, elitism, and individuals that are seeds."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from equal_states import same_state
from evotorch import Problem, SolutionBatch
from evotorch.logging import PandasLogger
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import GA
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent.crossover import CROSSOVERS
from structured_layers.algorithms.latent.seed_encoding import Individual, Lineages

each_crossover = pytest.mark.parametrize("crossover", [None, *CROSSOVERS])


def sphere(sense: str = "min", *, size: int = 4, seed: int | None = 0) -> Problem:
    sign = 1 if sense == "min" else -1
    return Problem(
        sense,
        lambda x: sign * (x**2).sum(-1),
        solution_length=size,
        initial_bounds=(-1, 1),
        vectorized=True,
        seed=seed,
    )


def make_search(problem: Problem | None = None, **settings: Any) -> GA:
    given = {"popsize": 12, "num_parents": 4, "stdev": 0.1, "seed": 0, **settings}
    return GA(problem or sphere(), **given)


class Noisy(Problem):
    """The sphere plus noise of its own, so that every evaluation differs; counts evaluations."""

    def __init__(self, noise: float = 0.0, failing: Callable[[Tensor], Tensor] | None = None):
        super().__init__(
            "max", solution_length=3, initial_bounds=(-1, 1), eval_data_length=1, seed=0
        )
        self.noise, self.failing = noise, failing
        self.draws = torch.Generator().manual_seed(0)
        self.batches: list[Tensor] = []

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        values = batch.values.as_subclass(Tensor)
        self.batches.append(values.clone())
        failed = torch.zeros(len(batch), dtype=torch.bool)
        if self.failing is not None:
            failed = self.failing(values)
        noise = self.noise * torch.randn(len(batch), generator=self.draws)
        fitness = torch.where(failed, 1e6, -(values**2).sum(-1) + noise)
        batch.set_evals(fitness, failed.float()[:, None])

    def failed(self, batch: SolutionBatch) -> Tensor:
        failed: Tensor = batch.evals[:, 1].as_subclass(Tensor) > 0
        return failed


@each_crossover
@pytest.mark.parametrize("sense", ["min", "max"])
def test_it_finds_the_optimum(sense: str, crossover: str | None) -> None:
    search = make_search(sphere(sense), popsize=40, num_parents=10, crossover=crossover)
    search.run(40)
    assert search.status["elite"].norm() < 0.15
    assert abs(search.status["elite_eval"] - search.status["best_eval"]) < 0.02


def test_the_two_senses_are_mirror_images() -> None:
    searches = [make_search(sphere(sense)) for sense in ("min", "max")]
    for search in searches:
        search.run(5)
    assert torch.equal(searches[0].elite_solution(), searches[1].elite_solution())


def test_children_are_mutations_of_the_best() -> None:
    problem = Noisy()
    search = make_search(problem, popsize=20, num_parents=3, num_elite_candidates=0, stdev=1e-3)
    search.run(2)
    founders, children = problem.batches
    best = founders[(founders**2).sum(-1).argsort()[:3]]
    distances = torch.cdist(children, best).min(dim=1).values
    assert distances.max() < 6e-3  # six standard deviations
    assert torch.cdist(children, best).argmin(dim=1).unique().numel() == 3


def test_mutation_follows_the_scales() -> None:
    scales = torch.tensor([1.0, 0.1, 10.0, 1.0])
    search = make_search(
        sphere(), popsize=400, stdev=0.5, scales=scales, initial=torch.zeros(4),
        num_elite_candidates=0, num_parents=1,
    )  # fmt: skip
    search.step()
    spread = search.population.values[1:].std(dim=0) / (0.5 * scales)
    # 399 draws: the standard error of a standard deviation is 1/√(2·398)
    assert ((spread - 1).abs() < 4 / (2 * 398) ** 0.5).all()


def test_the_elite_has_the_best_mean_of_its_evaluations() -> None:
    problem = Noisy(noise=0.5)
    search = make_search(problem, num_elite_candidates=3, num_elite_evaluations=50)
    search.run(3)
    batch = search.elite_population
    means = batch.evals[:, 0].reshape(3, 50).double().mean(dim=1)
    rows = batch.values.as_subclass(Tensor).reshape(3, 50, -1)
    assert torch.equal(rows[:, :1].expand_as(rows), rows)
    assert torch.equal(search.elite_solution(), rows[means.argmax(), 0])
    assert search.status["elite_eval"] == pytest.approx(float(means.max()))


def test_the_elite_lives_on_without_mutation() -> None:
    search = make_search(Noisy(), popsize=6, num_parents=2, stdev=10.0)
    evals = []
    for _ in range(8):  # mutations this large never help
        search.step()
        evals.append(search.status["elite_eval"])
    assert evals == sorted(evals)
    assert evals[-1] == evals[0]


def test_evaluations_of_the_elite_come_on_top() -> None:
    problem = Noisy()
    make_search(problem, num_elite_candidates=3, num_elite_evaluations=5).run(2)
    assert [len(batch) for batch in problem.batches] == [12, 15, 12, 15]


def test_failed_candidates_never_have_children() -> None:
    def failing(values: Tensor) -> Tensor:
        return values[:, 0] > 0  # of the highest fitness, a million

    problem = Noisy(failing=failing)
    search = make_search(problem, popsize=20, num_parents=4, stdev=1e-3)
    search.step()
    assert failing(problem.batches[0]).any()
    for _ in range(3):
        search.step()
        assert not failing(search.elite_solution()[None]).any()
        # children of parents on the right side lie there but for a thousandth
        assert search.population.values[:, 0].max() < 6e-3


@each_crossover
def test_a_resumed_search_goes_on_bit_for_bit(crossover: str | None, tmp_path: Path) -> None:
    search = make_search(crossover=crossover)
    search.run(4)
    write_checkpoint(tmp_path, search.state_dict(), number=4)
    other = make_search(sphere(seed=9), crossover=crossover, seed=5)
    other.load_state_dict(read_checkpoint(tmp_path))
    assert torch.equal(other.elite_solution(), search.elite_solution())
    for one in (search, other):
        one.run(4)
    assert torch.equal(other.population.values, search.population.values)
    assert same_state(other.state_dict(), search.state_dict())


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
    assert sizes[0] == sizes[1]


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


def test_a_failed_step_leaves_nothing_behind() -> None:
    problem = Noisy()
    search = make_search(problem)
    search.run(2)
    before, population = search.state_dict(), search.population

    def fail(batch: object) -> None:
        raise KeyboardInterrupt

    problem.before_eval_hook.append(fail)
    with pytest.raises(KeyboardInterrupt):
        search.step()
    assert same_state(search.state_dict(), before)
    assert search.population is population
    assert search.step_count == 2


def test_status_and_loggers_work() -> None:
    search = make_search()
    logger = PandasLogger(search)
    search.run(3)
    frame = logger.to_dataframe(index=None)
    assert len(frame) == 3
    assert {"elite_eval", "mean_eval", "best_eval"} <= set(frame.columns)


def test_a_state_of_other_settings_changes_nothing() -> None:
    search = make_search()
    search.run(2)
    for settings in ({"stdev": 0.2}, {"scales": torch.full((4,), 2.0)}, {"crossover": "uniform"}):
        other = make_search(**settings)
        before = other.state_dict()
        with pytest.raises(StructuredLayersError, match="make the search with the settings"):
            other.load_state_dict(search.state_dict())
        assert same_state(other.state_dict(), before)


def test_a_damaged_lineage_is_refused() -> None:
    search = make_search()
    search.run(3)
    before = search.state_dict()
    state = search.state_dict()
    state["parents"]["births"] = state["parents"]["births"].flip(0)
    with pytest.raises(StructuredLayersError, match="does not fit this search"):
        search.load_state_dict(state)
    assert same_state(search.state_dict(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"popsize": 1}, "popsize must be an integer of at least 2"),
        ({"num_parents": 13}, "num_parents must be an integer from 1 to 12, the popsize, got 13"),
        ({"num_elite_candidates": 1}, "must be 0, for no elitism, or at least 2"),
        ({"num_elite_evaluations": 0}, "num_elite_evaluations must be an integer of at least 1"),
        ({"stdev": 0.0}, "stdev must be a positive, finite number"),
        ({"scales": [1.0, 1.0]}, r"scales must have shape \(4,\)"),
        ({"scales": [1.0, 0.0, 1.0, 1.0]}, "scales must be above zero, got 1 of 4"),
        ({"crossover": "two"}, "crossover must be one of uniform, arithmetic, one_point"),
        ({"initial": torch.zeros(13, 4)}, "n from 1 to the popsize, 12, got"),
        ({"initial": torch.zeros(3)}, r"initial must have shape \(4,\) or \(n, 4\)"),
        ({"initial": "zeros"}, "initial must be numbers of shape"),
        ({"initial": [0.0, 1.0, float("nan"), 0.0]}, "initial must be finite, got 1 of 4"),
        ({"seed": -1}, "seed must be an integer from 0"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_search(**settings)
