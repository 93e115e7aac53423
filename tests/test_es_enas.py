"""ES-ENAS: a structure for every candidate, weights for all of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from evotorch import Problem, SolutionBatch
from evotorch.logging import PandasLogger, StdOutLogger
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    ESENAS,
    Coloring,
    Controller,
    EdgeMask,
    EdgeSubset,
    FixedPopulation,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
)
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint

NUM_WEIGHTS = 3
SPACE = Coloring(num_edges=12, num_colors=4)
CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "random": RandomSearch,
    "fixed": partial(FixedPopulation, population_size=7),
    "evolution": partial(RegularizedEvolution, population_size=20),
}
each_controller = pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)


class Toy(Problem):
    """How far the weights are from 1, and how many decisions are not 0."""

    def __init__(self, sense: str = "min", space: SearchSpace | None = SPACE) -> None:
        length = NUM_WEIGHTS + (0 if space is None else space.num_decisions)
        super().__init__(sense, solution_length=length, initial_bounds=(-1, 1))
        if space is not None:
            self.search_space = space

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        weights, decisions = batch.values[:, :NUM_WEIGHTS], batch.values[:, NUM_WEIGHTS:]
        distance = ((weights - 1) ** 2).sum(-1) + (decisions != 0).sum(-1)
        batch.set_evals(distance if self.senses == ["min"] else -distance)


class Recorder(RandomSearch):
    """A random search that remembers what it proposed, observed and held to be the best."""

    def __init__(self, space: SearchSpace = SPACE, *, seed: int | None = 0) -> None:
        super().__init__(space, seed=seed)
        self.proposed: list[Tensor] = []
        self.observed: list[tuple[Tensor, Tensor]] = []

    def propose(self, n: int) -> Tensor:
        self.proposed.append(super().propose(n))
        return self.proposed[-1]

    def observe(self, decisions: Tensor, objectives: Tensor) -> None:
        self.observed.append((decisions.clone(), objectives.clone()))
        super().observe(decisions, objectives)


def make_search(controller: Controller | None = None, **options: object) -> ESENAS:
    defaults = {"popsize": 10, "center_init": torch.zeros(NUM_WEIGHTS), "seed": 0}
    return ESENAS(Toy(), controller or Recorder(), **{**defaults, **options})


def test_every_candidate_gets_a_structure_of_its_own() -> None:
    controller = Recorder()
    search = make_search(controller)
    for generation in range(3):
        search.step()
        assert len(controller.proposed) == generation + 1
        proposed = controller.proposed[-1]
        assert torch.equal(search.population.values[:, NUM_WEIGHTS:].long(), proposed)
        assert (proposed[0::2] != proposed[1::2]).any(dim=1).all()
        assert len(proposed.unique(dim=0)) == 10


def test_structures_of_a_pair_are_independent() -> None:
    """Two uniform colours agree in a share of 1/4, as those of different pairs do."""
    search = make_search(popsize=1000)
    search.step()
    plus, minus = search.population.values[:, NUM_WEIGHTS:].view(500, 2, 12).unbind(dim=1)
    deviation = (0.25 * 0.75 / plus.numel()) ** 0.5
    for other in (minus, minus.roll(1, dims=0)):
        share = float((plus == other).float().mean())
        assert abs(share - 0.25) < 4 * deviation


@pytest.mark.parametrize("ranking_method", ["raw", "centered", "std"])
def test_the_controller_observes_every_structure_with_its_own_fitness(ranking_method: str) -> None:
    controller = Recorder()
    search = make_search(controller, ranking_method=ranking_method)
    for _ in range(3):
        search.step()
        decisions, objectives = controller.observed[-1]
        assert torch.equal(decisions, controller.proposed[-1])  # and no perturbed weights
        assert torch.equal(objectives, -search.population.evals[:, 0])  # higher is better
    assert len(controller.observed) == 3
    assert search.status["controller_updates"] == 3


def test_maximising_gives_the_fitness_as_it_is() -> None:
    controller = Recorder()
    search = ESENAS(Toy("max"), controller, popsize=4, seed=0)
    search.step()
    assert torch.equal(controller.observed[0][1], search.population.evals[:, 0])


def test_a_step_follows_the_estimate() -> None:
    search = make_search(
        stdev_init=0.5, center_learning_rate=0.25, optimizer="sgd", ranking_method="raw"
    )
    search.step()
    weights, evals = search.population.values[:, :NUM_WEIGHTS], search.population.evals[:, 0]
    noise = weights[0::2] / 0.5
    torch.testing.assert_close(weights[1::2], -weights[0::2])
    gradient = ((evals[1::2] - evals[0::2])[:, None] * noise).sum(0) / (2 * 5 * 0.5)
    torch.testing.assert_close(search.status["center"], 0.25 * gradient)


def test_the_center_is_evaluated_with_the_controllers_best_structure() -> None:
    controller = Recorder()
    search = make_search(controller)
    for _ in range(4):
        center, best = search.status["center"].clone(), controller.best()
        search.step()
        values = search.center_population.values
        assert values.shape == (5, NUM_WEIGHTS + 12)  # half of popsize, as in the paper
        assert torch.equal(values, torch.cat([center, best.float()]).expand(5, -1))
        expected = float(((center - 1) ** 2).sum() + (best != 0).sum())
        assert search.status["center_eval"] == pytest.approx(expected)
    solution = torch.cat([search.status["center"], controller.best().float()])
    assert torch.equal(search.center_solution(), solution)
    assert torch.equal(search.center_decisions(), controller.best())


@pytest.mark.parametrize("n", [0, 3])
def test_the_number_of_center_evaluations_can_be_chosen(n: int) -> None:
    search = make_search(num_center_evaluations=n)
    search.step()
    assert len(search.population) == 10
    assert (0 if search.center_population is None else len(search.center_population)) == n
    assert (search.status["center_eval"] is None) == (n == 0)


def test_weights_and_structure_are_found_together() -> None:
    controller = RegularizedEvolution(SPACE, population_size=30, seed=0)
    search = make_search(controller, popsize=20, center_learning_rate=0.05)
    search.run(150)
    assert (search.status["center"] - 1).norm() < 0.3
    assert (controller.best() == 0).sum() >= 10
    assert search.status["center_eval"] < 3  # 12 on average at the start


@each_controller
def test_no_controller_needs_special_treatment(make: Callable[..., Controller]) -> None:
    for space in (SPACE, EdgeSubset(num_edges=9, num_kept=4)):
        search = ESENAS(Toy(space=space), make(space, seed=0), popsize=6, seed=0)
        search.run(5)
        space.check(search.center_decisions()[None])
        assert search.status["controller_updates"] == 5


def test_without_a_start_the_problem_draws_the_weights() -> None:
    search = ESENAS(Toy(), Recorder(), popsize=4)
    assert search.status["center"].shape == (NUM_WEIGHTS,)


def test_loggers_run(capsys: pytest.CaptureFixture[str]) -> None:
    search = make_search()
    StdOutLogger(search)
    logger = PandasLogger(search)
    search.run(3)
    frame = logger.to_dataframe(index=None)
    assert frame["controller_updates"].tolist() == [1, 2, 3]
    assert {"iter", "center_eval", "update_norm", "mean_eval", "stdev"} <= set(frame)
    assert capsys.readouterr().out.count("controller_updates :") == 3


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "clipup"])
@pytest.mark.parametrize("generations", [0, 4])
@each_controller
def test_a_search_continues_from_its_checkpoint_bit_for_bit(
    make: Callable[..., Controller], generations: int, optimizer: str, tmp_path: Path
) -> None:
    search = make_search(make(SPACE, seed=0), optimizer=optimizer)
    resumed = make_search(make(SPACE, seed=1), optimizer=optimizer, seed=1)
    search.run(generations)
    resumed.run(2)
    write_checkpoint(tmp_path, search.state_dict(), number=generations)
    resumed.load_state_dict(read_checkpoint(tmp_path))
    assert resumed.status["controller_updates"] == generations
    for _ in range(4):
        search.step()
        resumed.step()
        assert torch.equal(resumed.population.values, search.population.values)
        assert torch.equal(resumed.center_population.values, search.center_population.values)
        assert torch.equal(resumed.center_solution(), search.center_solution())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"popsize": 7}, "popsize must be an even number of at least 2 .*, got 7"),
        ({"num_center_evaluations": -2}, "num_center_evaluations must be an integer of at least 0"),
        ({"ranking_method": "nes"}, "ranking_method must be one of"),
        (
            {"center_init": torch.zeros(NUM_WEIGHTS + 12)},
            r"center_init must have shape \(3,\): the solution length less the 12 decisions, "
            r"got \(15,\)",
        ),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_search(**arguments)


@pytest.mark.parametrize(
    ("problem", "space", "message"),
    [
        (
            Toy(),
            Coloring(5, 4),
            r"is Coloring of 12 decisions \(.*\), the controller's Coloring of 5 .*; make the",
        ),
        (Toy(), Coloring(12, 9), "search space is Coloring of 12 .* controller's Coloring of 12"),
        (Toy(), EdgeMask(12), "search space is Coloring of 12 .* controller's EdgeMask of 12"),
        (Toy(space=None), Coloring(3, 2), "length 3 leave no weights beside .* 3 decisions"),
        (Toy(space=None), SPACE, "give the PolicyProblem a search_space"),
    ],
)
def test_a_controller_of_another_space(problem: Problem, space: SearchSpace, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        ESENAS(problem, Recorder(space))


def test_no_controller() -> None:
    with pytest.raises(StructuredLayersError, match="must be a Controller such as .* got 'random'"):
        ESENAS(Toy(), "random")


def test_proposals_outside_the_space_are_refused() -> None:
    class Broken(RandomSearch):
        def propose(self, n: int) -> Tensor:
            return super().propose(n) + 1

    search = make_search(Broken(SPACE, seed=0))
    with pytest.raises(StructuredLayersError, match="colours must lie in 0..3"):
        search.step()
    assert search.population is None  # nothing was evaluated
