"""The variants of ES-ENAS: what the controller sees, when, and which structures are tried."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    ESENAS,
    Coloring,
    EdgeCount,
    EdgeMask,
    FixedPopulation,
    Limit,
    LocalSearch,
    ParetoArchive,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
    TargetEdges,
)
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.controllers import PolicyGradient

NUM_WEIGHTS = 3
SPACE = EdgeMask(8)


class Toy(Problem):
    """How near the weights are to 1, and how many decisions are 0."""

    def __init__(self, space: SearchSpace = SPACE) -> None:
        super().__init__(
            "max", solution_length=NUM_WEIGHTS + space.num_decisions, initial_bounds=(-1, 1)
        )
        self.search_space = space

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        weights, decisions = batch.values[:, :NUM_WEIGHTS], batch.values[:, NUM_WEIGHTS:]
        batch.set_evals((decisions == 0).sum(-1) - ((weights - 1) ** 2).sum(-1))


class Recorder(RandomSearch):
    """A random search that remembers what it proposed and observed."""

    def __init__(self) -> None:
        super().__init__(SPACE, seed=0)
        self.proposed: list[Tensor] = []
        self.observed: list[tuple[Tensor, Tensor]] = []

    def propose(self, n: int) -> Tensor:
        self.proposed.append(super().propose(n))
        return self.proposed[-1]

    def observe(self, decisions: Tensor, objectives: Tensor) -> None:
        self.observed.append((decisions.clone(), objectives.clone()))
        super().observe(decisions, objectives)


class Faulty(Toy):
    """Structures of at most three edges fail, and get the worst fitness of the others."""

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        super()._evaluate_batch(batch)
        fitnesses, failed = batch.evals[:, 0].as_subclass(Tensor).clone(), self.failed(batch)
        batch.set_evals(torch.where(failed, fitnesses[~failed].min(), fitnesses))

    def failed(self, batch: SolutionBatch) -> Tensor:
        return batch.values[:, NUM_WEIGHTS:].as_subclass(Tensor).sum(dim=1) <= 3


def make_search(controller: object = None, **options: object) -> ESENAS:
    defaults = {"popsize": 10, "center_init": torch.zeros(NUM_WEIGHTS), "seed": 0}
    return ESENAS(Toy(), controller or Recorder(), **{**defaults, **options})


def evaluated(search: ESENAS) -> tuple[Tensor, Tensor]:
    """The structures and fitnesses of the last generation."""
    values = search.population.values.as_subclass(Tensor)
    evals = search.population.evals.as_subclass(Tensor)
    return values[:, NUM_WEIGHTS:].long(), evals[:, 0]


@pytest.mark.parametrize("k", [1, 4, 10])
def test_the_controller_sees_k_of_n_objectives_each_with_its_structure(k: int) -> None:
    controller = Recorder()
    search, rows = make_search(controller, num_observed=k), []
    for _ in range(3):
        search.step()
        proposed, evals = evaluated(search)
        decisions, objectives = controller.observed[-1]
        assert len(decisions) == len(objectives) == k
        # the toy's fitnesses differ, so they tell which candidates were seen
        which = [int((evals == value).nonzero()[0, 0]) for value in objectives.float()]
        assert which == sorted(set(which))
        assert torch.equal(decisions, proposed[which])
        rows.append(which)
    assert k == 10 or rows[0] != rows[1] or rows[1] != rows[2]  # chosen anew


def test_the_choice_comes_from_the_searchs_own_generator() -> None:
    observed = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        controller = Recorder()
        make_search(controller, num_observed=3).run(2)
        observed.append([objectives for _, objectives in controller.observed])
    assert all(torch.equal(*pair) for pair in zip(*observed, strict=True))


def test_structures_are_held_for_a_phase_and_judged_by_the_best_return() -> None:
    controller = Recorder()
    search = make_search(controller, phase_length=3)
    for phase in range(2):
        returns = []
        for age in range(3):
            assert len(controller.observed) == search.status["controller_updates"] == phase
            search.step()
            decisions, evals = evaluated(search)
            assert len(controller.proposed) == phase + 1
            assert torch.equal(decisions, controller.proposed[-1])
            returns.append(evals)
            assert search.status["update_norm"] > 0, age  # weights learn in every generation
        seen, objectives = controller.observed[-1]
        best = torch.stack(returns).max(dim=0).values.double()
        for structure, objective in zip(seen, objectives, strict=True):
            held = (controller.proposed[-1] == structure).all(dim=1)
            torch.testing.assert_close(objective, best[held].mean())
        assert len(seen) == len(controller.proposed[-1].unique(dim=0))


def test_what_several_workers_held_is_averaged_and_seen_once() -> None:
    class Seen(FixedPopulation):
        def observe(self, decisions: Tensor, objectives: Tensor) -> None:
            seen.append((decisions, objectives))
            super().observe(decisions, objectives)

    seen: list[tuple[Tensor, Tensor]] = []
    search = make_search(Seen(SPACE, population_size=2, seed=0), phase_length=1, stdev_init=0.5)
    search.step()
    decisions, evals = evaluated(search)
    (structures, objectives), members = seen[0], decisions[:2]
    assert torch.equal(structures, members)
    torch.testing.assert_close(objectives, evals.double().view(5, 2).mean(dim=0))


def test_the_weights_follow_the_return_whatever_the_controller_is_told() -> None:
    plain, told = make_search(), make_search(objective=lambda decisions, returns: -returns)
    for _ in range(3):
        plain.step()
        told.step()
        assert torch.equal(plain.status["center"], told.status["center"])
    for (_, one), (_, other) in zip(
        plain.controller.observed, told.controller.observed, strict=True
    ):
        assert torch.equal(one, -other)


def test_ones_own_objective_gets_decisions_and_returns() -> None:
    def objective(decisions: Tensor, returns: Tensor) -> Tensor:
        return returns - 10.0 * decisions.sum(dim=1)

    controller = Recorder()
    search = make_search(controller, objective=objective)
    search.step()
    decisions, evals = evaluated(search)
    expected = evals - 10.0 * decisions.sum(dim=1)
    torch.testing.assert_close(controller.observed[0][1].float(), expected)


def test_pairs_share_their_structure_if_asked() -> None:
    controller = Recorder()
    search = make_search(controller, paired_structures=True)
    search.step()
    decisions, _ = evaluated(search)
    assert torch.equal(decisions[0::2], decisions[1::2])
    assert torch.equal(decisions[0::2], controller.proposed[0])
    assert len(controller.observed[0][0]) == 10


@pytest.mark.parametrize(("estimator", "rows"), [("antithetic", 4), ("vanilla", 2)])
def test_elites_have_the_controllers_best_structure(estimator: str, rows: int) -> None:
    controller = Recorder()
    search = make_search(controller, num_elites=2, estimator=estimator)
    for _ in range(3):
        best = controller.best()
        search.step()
        decisions, _ = evaluated(search)
        assert (decisions[:rows] == best).all()
        assert torch.equal(decisions[rows:], controller.proposed[-1][rows:])
        assert torch.equal(controller.observed[-1][0], decisions)


def test_the_sampled_pivot_is_the_mean_of_the_centre_over_sampled_structures() -> None:
    given = {"estimator": "forward", "ranking_method": "raw", "optimizer": "sgd", "popsize": 8}
    search = make_search(
        **given, center_structures="sampled", num_center_evaluations=4, stdev_init=0.5,
        center_learning_rate=0.25,
    )  # fmt: skip
    search.step()
    decisions, evals = evaluated(search)
    # at weights zero: distance 3 from 1, and one for each 0 of the structures 0, 2, 4, 6
    pivot = (decisions[[0, 2, 4, 6]] == 0).sum(dim=1).float().mean() - 3
    noise = search.population.values.as_subclass(Tensor)[:, :NUM_WEIGHTS] / 0.5
    gradient = ((evals - pivot)[:, None] * noise).mean(dim=0) / 0.5
    torch.testing.assert_close(search.status["center"], 0.25 * gradient)
    # what a run reports is still the centre under the controller's best structure
    centers = search.center_population.values.as_subclass(Tensor)
    assert len(centers) == 4
    assert (centers == centers[0]).all()


def test_the_archive_is_the_front_of_all_candidates() -> None:
    archive = ParetoArchive(EdgeCount(SPACE), name="edges")
    search = make_search(archive=archive)
    points = []
    for _ in range(4):
        search.step()
        decisions, evals = evaluated(search)
        points += zip(evals.tolist(), decisions.sum(dim=1).tolist(), strict=True)
    front = {
        (value, cost) for value, cost in points
        if not any(v >= value and c <= cost and (v, c) != (value, cost) for v, c in points)
    }  # fmt: skip
    assert set(zip(archive.returns.tolist(), archive.costs.tolist(), strict=True)) == front
    assert torch.equal(archive.costs, archive.decisions.sum(dim=1).double())
    assert archive.costs.diff().gt(0).all()
    assert archive.returns.diff().gt(0).all()


VARIANTS: dict[str, dict[str, object]] = {
    "k of n": {"num_observed": 3},
    "phases": {"phase_length": 3},
    "k of n in phases": {"phase_length": 2, "num_observed": 3, "num_elites": 1},
    "target": {"objective": TargetEdges(SPACE, 2, shift=1000.0)},
    "pairs and elites": {"paired_structures": True, "num_elites": 2},
    "sampled pivot": {"estimator": "forward", "center_structures": "sampled"},
    "archive": {"archive": "edges"},
    "limit": {"objective": "at most 3 edges"},
    "cma-es": {"optimizer": "cmaes", "phase_length": 2, "num_observed": 4, "num_elites": 3},
}
CONTROLLERS: dict[str, Callable[..., object]] = {
    "evolution": partial(RegularizedEvolution, population_size=8),
    "gradient": PolicyGradient,
}


def variant(name: str, make: Callable[..., object], seed: int) -> ESENAS:
    options = dict(VARIANTS[name])
    if "archive" in options:
        options["archive"] = ParetoArchive(EdgeCount(SPACE), name="edges")
    if name == "limit":
        options["objective"] = Limit(EdgeCount(SPACE), 3)
    return make_search(make(SPACE, seed=seed), seed=seed, **options)


@pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_resumes_bit_for_bit_in_mid_phase(
    name: str, make: Callable[..., object], tmp_path: Path
) -> None:
    search, resumed = variant(name, make, 0), variant(name, make, 1)
    search.run(4)  # not a multiple of three; with two it is between phases
    resumed.run(3)
    write_checkpoint(tmp_path, search.state_dict(), number=4)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    for _ in range(4):
        search.step()
        resumed.step()
        assert torch.equal(resumed.population.values, search.population.values)
        assert torch.equal(resumed.center_solution(), search.center_solution())
    if search.archive is not None:
        assert torch.equal(resumed.archive.decisions, search.archive.decisions)
        assert torch.equal(resumed.archive.generations, search.archive.generations)


def test_a_generation_that_fails_in_mid_phase_is_as_if_it_had_not_begun() -> None:
    search, undisturbed = (make_search(phase_length=3, num_observed=2) for _ in range(2))
    search.run(2)
    undisturbed.run(2)
    evaluate = search.problem.evaluate
    search.problem.evaluate = lambda batch: batch.set_evals(torch.full((len(batch),), torch.nan))
    with pytest.raises(StructuredLayersError, match="not finite"):
        search.step()
    search.problem.evaluate = evaluate
    for one in (search, undisturbed):
        one.run(4)
    assert torch.equal(search.center_solution(), undisturbed.center_solution())
    assert torch.equal(search.population.values, undisturbed.population.values)


def test_states_of_other_variants_are_refused() -> None:
    search = make_search(phase_length=2)
    with pytest.raises(StructuredLayersError, match="the state is of"):
        make_search().load_state_dict(search.state_dict())
    assert "phase_length" not in make_search().state_dict()["search"]  # as before there were any


def test_failed_candidates_do_not_reach_the_archive() -> None:
    archive = ParetoArchive(EdgeCount(SPACE), name="edges")
    search = ESENAS(Faulty(), RandomSearch(SPACE, seed=0), popsize=40, archive=archive, seed=0)
    search.run(3)
    assert (~search._kept(search.population)).any()
    assert archive.costs.min() == 4


@pytest.mark.parametrize(
    "options",
    [{"num_observed": 4}, {"phase_length": 1}, {"num_elites": 1}, {"paired_structures": True}],
)
def test_a_local_search_observes_its_own_pairs(options: dict) -> None:
    with pytest.raises(StructuredLayersError, match=f"{next(iter(options))} changes what LocalS"):
        make_search(LocalSearch(SPACE, seed=0), **options)
    make_search(LocalSearch(SPACE, seed=0)).step()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_observed": 0}, "num_observed must be an integer from 1 to 10, the popsize, got 0"),
        ({"num_observed": 11}, "from 1 to 10"),
        ({"phase_length": 0}, "phase_length must be an integer of at least 1, got 0"),
        ({"num_elites": 6}, "num_elites must be an integer from 0 to 5, got 6"),
        ({"paired_structures": True, "estimator": "vanilla"}, "needs pairs of candidates"),
        ({"paired_structures": True, "optimizer": "cmaes"}, "needs pairs of candidates"),
        ({"center_structures": "sampled"}, "take estimator='forward'"),
        ({"center_structures": "all"}, "center_structures must be one of best, sampled"),
        ({"objective": 3}, "objective must be a function"),
    ],
)
def test_bad_variants(options: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_search(**options)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda decisions, returns: returns[:2], r"shape \(10,\), one number .*, got \(2,\)"),
        (lambda decisions, returns: returns * torch.nan, "finite numbers, got 10 of 10"),
        (lambda decisions, returns: 1.0, "got float"),
    ],
)
def test_objectives_that_return_something_else(objective: Callable, message: str) -> None:
    search = make_search(objective=objective)
    with pytest.raises(StructuredLayersError, match=message):
        search.step()
    assert search.step_count == 0


def test_a_colouring_is_found_in_phases() -> None:
    space = Coloring(8, 3)
    controller = RegularizedEvolution(space, population_size=20, seed=0)
    search = ESENAS(
        Toy(space), controller, popsize=20, center_init=torch.zeros(3), phase_length=2, seed=0,
        center_learning_rate=0.05,
    )  # fmt: skip
    search.run(200)
    assert (controller.best() == 0).sum() >= 7
