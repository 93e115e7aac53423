"""The methods of the Moré–Wild benchmark keep their budget and find better points."""

import math

import pytest
import torch

from benchmarks.dfo.chosen_steps import STEP_RULE, StepRule
from benchmarks.dfo.evotorch_searches import SEARCHES, MoreWildProblem
from benchmarks.dfo.gradient_sensing import descend
from benchmarks.dfo.methods import METHODS, SENSING, chosen_steps, run_method
from benchmarks.dfo.objective import Objective, Trace, budget_of, generator_of
from benchmarks.dfo.scipy_methods import difference_step, run_scipy
from benchmarks.dfo.settings import SETTINGS
from benchmarks.dfo.suite import more_wild_problems
from structured_layers.algorithms import ES
from structured_layers.errors import StructuredLayersError

PROBLEMS = more_wild_problems()
ROSENBROCK = PROBLEMS[6]
CONSTANT = StepRule(first=0.3, last=0.3, stdev_ratio=1.0)


def run(method: str, setting: str, seeds: int = 2, budget: int = 20) -> list[Trace]:
    return run_method(method, ROSENBROCK, setting, seeds, budget, chosen_steps(method))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("method", METHODS)
def test_methods_improve_within_the_budget(method: str, setting: str) -> None:
    for trace in run(method, setting):
        assert trace.evaluations[0] == 0
        assert trace.evaluations[-1] <= budget_of(2, 20) == 60
        assert trace.evaluations == sorted(set(trace.evaluations))
        assert trace.values == sorted(set(trace.values), reverse=True)
        # without a baseline the estimate is mostly noise, and 60 evaluations may lead nowhere
        assert trace.values[-1] < trace.values[0] or method.startswith("vanilla")


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_does_not_depend_on_how_many_there_are(method: str) -> None:
    two, three = run(method, "stochastic", seeds=2), run(method, "stochastic", seeds=3)
    assert three[:2] == two
    assert two[0] != two[1]


def test_methods_without_chance_run_once() -> None:
    assert len(run("nelder-mead", "deterministic-noise", seeds=5)) == 1
    assert len(run("nelder-mead", "stochastic", seeds=5)) == 5


@pytest.mark.parametrize(
    ("estimator", "evaluations"), [("vanilla", 4), ("antithetic", 8), ("forward", 5)]
)
def test_a_generation_costs_what_the_estimator_says(estimator: str, evaluations: int) -> None:
    sense, kind = SENSING[f"{estimator}-orthogonal"]
    objective = Objective(PROBLEMS[10], "smooth", [torch.Generator()])  # four variables
    directions = kind(4, 4, torch.Generator(), torch.float64)[None]
    sense(objective, torch.zeros(1, 4).double(), directions, 0.1)
    assert objective.num_evaluations == evaluations


@pytest.mark.parametrize("estimator", ["antithetic", "forward"])
def test_orthogonal_blocks_sense_gradients_better(estimator: str) -> None:
    """With N = n their error is smaller by (n − 1)/n ‖g‖²; 200 draws, 4 standard errors."""
    objective = Objective(PROBLEMS[10], "smooth", [torch.Generator()] * 200)
    z = torch.zeros(200, 4).double()
    exact = central_gradient(objective)
    errors = {}
    for kind in ("gaussian", "orthogonal"):
        sense, draw = SENSING[f"{estimator}-{kind}"]
        generator = generator_of(kind)
        directions = torch.stack([draw(4, 4, generator, torch.float64) for _ in range(200)])
        errors[kind] = ((sense(objective, z, directions, 1e-4) - exact) ** 2).sum(1)
    difference = errors["gaussian"] - errors["orthogonal"]
    gain = 0.75 * (exact**2).sum()
    assert (difference.mean() - gain).abs() < 4 * difference.std() / 200**0.5


def central_gradient(objective: Objective) -> torch.Tensor:
    step = 1e-5 * torch.eye(4).double()
    values = objective(torch.cat([step, -step]).expand(200, -1, -1))[0]
    return (values[:4] - values[4:]) / 2e-5


def test_steps_fall_from_the_first_to_the_last() -> None:
    assert STEP_RULE.step_size(0.0) == STEP_RULE.first
    assert STEP_RULE.step_size(1.0) == pytest.approx(STEP_RULE.last)


def test_a_step_is_as_long_as_a_direction() -> None:
    """η√n, whatever the gradient's length: 0.3 · 2 in four variables."""
    objective, seen = Objective(PROBLEMS[10], "smooth", [torch.Generator()]), []

    def sense(objective, z, directions, stdev):
        objective(z[:, None])
        seen.append(z)
        return torch.tensor([[0.0, 0.0, 7.0, 0.0]]).double()

    descend(objective, sense, SENSING["forward-gaussian"][1], [torch.Generator()], 3, CONSTANT)
    assert [z.tolist() for z in seen] == [[[0.0, 0.0, -0.6 * k, 0.0]] for k in range(3)]


def test_what_is_found_after_the_budget_does_not_count() -> None:
    objective = Objective(ROSENBROCK, "smooth", [torch.Generator()])
    minimum = (torch.ones(2).double() - ROSENBROCK.start_point()) / ROSENBROCK.units()
    objective(torch.stack([0.99 * minimum, minimum])[None])  # one generation of two
    (within,), (after,) = objective.traces(1), objective.traces(2)
    assert within.evaluations == [0, 1] and within.values[-1] > 0
    assert after.evaluations == [0, 1, 2] and after.values[-1] == pytest.approx(0, abs=1e-20)


@pytest.mark.filterwarnings("ignore")  # EvoTorch's own
@pytest.mark.parametrize("number", [10, 50])
@pytest.mark.parametrize("name", SEARCHES)
def test_references_start_with_their_stdev_and_population(name: str, number: int) -> None:
    problem = MoreWildProblem(PROBLEMS[number], "smooth", seed=0)
    search = SEARCHES[name](problem, 0.25)
    stdev = search.sigma if name == "cma-es" else search._get_sigma()
    assert torch.as_tensor(stdev).as_subclass(torch.Tensor).unique().tolist() == [0.25]
    search.step()
    n = problem.solution_length  # 4 and 12
    population = 2 * n if name == "pgpe" else 4 + int(3 * math.log(n))
    assert problem.objective.num_evaluations == population


@pytest.mark.parametrize("setting", ["deterministic-noise", "stochastic"])
def test_bfgs_starts_again_where_noise_stops_it(setting: str) -> None:
    objective = Objective(ROSENBROCK, setting, [generator_of("noise")])
    run_scipy("bfgs", objective, 300)
    assert objective.num_evaluations == 300


def test_noise_widens_finite_differences() -> None:
    assert difference_step("stochastic") == pytest.approx(1e-3**0.5)
    assert difference_step("smooth") == 2.0**-26


def test_the_librarys_search_runs_on_the_problems() -> None:
    problem = MoreWildProblem(ROSENBROCK, "smooth", seed=0)
    center = torch.zeros(2, dtype=torch.float64)
    search = ES(problem, popsize=4, center_init=center, stdev_init=0.05, seed=0)
    search.run(10)
    assert problem.objective.num_evaluations == 40
    (trace,) = problem.objective.traces(40)
    assert trace.values[0] == pytest.approx(24.2)
    assert trace.values[-1] < 24.2


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="method must be one of vanilla-gaussian"):
        run_method("newton", ROSENBROCK, "smooth", 1, 1, None)
