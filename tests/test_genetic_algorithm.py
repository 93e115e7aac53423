"""The genetic algorithm: selection, mutation, elitism, and what is left of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from equal_states import same_state
from evotorch import Problem, SolutionBatch
from evotorch.logging import PandasLogger
from genetic_cases import Noisy, make_search, sphere
from torch import Tensor

from structured_layers import StructuredLayersError, mlp
from structured_layers.algorithms import GA
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent.crossover import CROSSOVERS
from structured_layers.integrations.evotorch import PolicyProblem

each_crossover = pytest.mark.parametrize("crossover", [None, *CROSSOVERS])


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


def test_evaluations_of_the_elite_enter_no_statistics() -> None:
    counts = []
    for candidates in (0, 2):
        problem = PolicyProblem("Hopper-v5", mlp(11, [4], 3), episode_length=10, seed=0)
        GA(problem, popsize=4, num_parents=2, num_elite_candidates=candidates, seed=0).step()
        assert problem.normalizer is not None
        counts.append(problem.normalizer.count)
    assert counts[0] == counts[1] > 0


def test_failed_evaluations_of_the_elite_do_not_count() -> None:
    def failing(values: Tensor) -> Tensor:
        first_of_each = torch.arange(len(values)) % 3 == 0  # of the fitness of a million
        return first_of_each & torch.tensor(len(values) != 12)  # but no candidate itself

    search = make_search(Noisy(0.5, failing), num_elite_candidates=3, num_elite_evaluations=3)
    search.step()
    evals = search.elite_population.evals[:, 0].as_subclass(Tensor).reshape(3, 3)
    means = evals[:, 1:].double().mean(dim=1)
    assert search.status["elite_eval"] == pytest.approx(float(means.max()))


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


def test_a_step_that_fails_late_leaves_the_batches_before() -> None:
    problem = Noisy()
    search = make_search(problem)
    search.run(2)
    batches = search.population, search.elite_population

    def fail(batch: SolutionBatch) -> None:
        if len(batch) != 12:  # the candidates are evaluated, their best is not again
            raise KeyboardInterrupt

    problem.before_eval_hook.append(fail)
    with pytest.raises(KeyboardInterrupt):
        search.step()
    assert search.population is batches[0]
    assert search.elite_population is batches[1]


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


def test_a_problem_with_bounds_is_refused() -> None:
    bounded = Problem("min", lambda x: x.sum(-1), solution_length=4, bounds=(-1, 1), seed=0)
    with pytest.raises(StructuredLayersError, match="a genetic algorithm cannot keep a problem's"):
        make_search(bounded)
