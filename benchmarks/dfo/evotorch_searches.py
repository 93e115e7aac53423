"""The suite as EvoTorch problems, and the searches of EvoTorch that serve as references."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms import CMAES, PGPE, SNES
from evotorch.algorithms.searchalgorithm import SearchAlgorithm
from torch import Tensor

from .least_squares import LeastSquares
from .objective import Objective, generator_of

logging.getLogger("evotorch").setLevel(logging.WARNING)


class MoreWildProblem(Problem):
    """A problem of the suite in one setting, for EvoTorch's and our own searches.

    Solutions are displacements from the start in its units, see :class:`Objective`; zero is the
    start, so the smaller f the better, and ``objective`` remembers what was found.

    Args:
        problem: of the suite.
        setting: a name among ``SETTINGS``.
        seed: of the noise and of the search.

    Examples:
        >>> from benchmarks.dfo.suite import more_wild_problems
        >>> rosenbrock = MoreWildProblem(more_wild_problems()[6], "smooth", seed=0)
        >>> rosenbrock.evaluate(rosenbrock.generate_batch(10))
        >>> rosenbrock.objective.num_evaluations
        10
    """

    def __init__(self, problem: LeastSquares, setting: str, seed: int) -> None:
        super().__init__(
            "min",
            solution_length=problem.dimension,
            initial_bounds=(-0.1, 0.1),
            dtype=torch.float64,
            seed=generator_of("search", setting, problem.name, seed).initial_seed(),
        )
        noise = generator_of("noise", setting, problem.name, seed)
        self.objective = Objective(problem, setting, [noise])

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        values = batch.values.as_subclass(Tensor)
        batch.set_evals(self.objective(values[None])[0])


def start_at(problem: MoreWildProblem) -> Tensor:
    """Return the start in the problem's variables."""
    return torch.zeros(problem.solution_length, dtype=torch.float64)


def cma_es(problem: MoreWildProblem, stdev: float) -> SearchAlgorithm:
    """CMA-ES with the population and rates of its authors."""
    return CMAES(problem, stdev_init=stdev, center_init=start_at(problem))


def snes(problem: MoreWildProblem, stdev: float) -> SearchAlgorithm:
    """SNES with the population and rates of its authors."""
    return SNES(problem, stdev_init=stdev, center_init=start_at(problem))


def pgpe(problem: MoreWildProblem, stdev: float) -> SearchAlgorithm:
    """PGPE with n pairs and ClipUp, whose speed is the usual fifteenth of the radius σ√n."""
    speed = stdev * problem.solution_length**0.5 / 15
    return PGPE(
        problem,
        popsize=2 * problem.solution_length,
        center_init=start_at(problem),
        stdev_init=stdev,
        center_learning_rate=speed / 2,
        stdev_learning_rate=0.1,
        optimizer="clipup",
        optimizer_config={"max_speed": speed},
        ranking_method="centered",
    )


SEARCHES: dict[str, Callable[[MoreWildProblem, float], SearchAlgorithm]] = {
    "cma-es": cma_es,
    "pgpe": pgpe,
    "snes": snes,
}


def run_search(name: str, problem: MoreWildProblem, budget: int, stdev: float) -> None:
    """Search until the budget is used; the last generation may pass it."""
    with warnings.catch_warnings():
        # EvoTorch's own code: it copies a tensor and divides one by NumPy in outdated ways.
        warnings.filterwarnings("ignore", "To copy construct from a tensor", UserWarning)
        warnings.filterwarnings("ignore", "__array_wrap__ must accept", DeprecationWarning)
        search = SEARCHES[name](problem, stdev)
        while problem.objective.num_evaluations < budget:
            search.step()
