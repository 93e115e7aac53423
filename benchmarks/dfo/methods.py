"""All methods by name, run by seed."""

from __future__ import annotations

from structured_layers.errors import StructuredLayersError

from .chosen_steps import STDEV_INIT, STEP_RULE, StepRule
from .evotorch_searches import SEARCHES, MoreWildProblem, run_search
from .gradient_sensing import descend, sensing_methods
from .least_squares import LeastSquares
from .objective import Objective, Trace, budget_of, generator_of
from .scipy_methods import SCIPY_METHODS, run_scipy

SENSING = sensing_methods()
METHODS = (*SENSING, *SEARCHES, *SCIPY_METHODS)

Steps = StepRule | float | None
"""A rule for gradient sensing, the first stdev for an EvoTorch search, None for SciPy's methods."""


def chosen_steps(method: str) -> Steps:
    """Return the step sizes that the benchmark uses."""
    return STEP_RULE if method in SENSING else STDEV_INIT.get(method)


def is_random(method: str, setting: str) -> bool:
    """Say whether seeds make a difference."""
    return method not in SCIPY_METHODS or setting == "stochastic"


def run_method(
    method: str,
    problem: LeastSquares,
    setting: str,
    seeds: int,
    simplex_gradients: int,
    steps: Steps,
) -> list[Trace]:
    """Return a trace for each seed, only one where seeds make no difference.

    Args:
        method: a name among ``METHODS``.
        problem: of the suite.
        setting: a name among ``SETTINGS``.
        seeds: runs.
        simplex_gradients: the budget is n + 1 evaluations times these.
        steps: as the method needs them, see :func:`chosen_steps`.
    """
    if method not in METHODS:
        raise StructuredLayersError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    budget = budget_of(problem.dimension, simplex_gradients)
    runs = range(seeds if is_random(method, setting) else 1)
    if isinstance(steps, StepRule):
        return _sense(method, problem, setting, runs, budget, steps)
    traces = []
    for seed in runs:
        if steps is None:
            noise = generator_of("noise", setting, problem.name, seed)
            objective = Objective(problem, setting, [noise])
            run_scipy(method, objective, budget)
        else:
            searched = MoreWildProblem(problem, setting, seed)
            run_search(method, searched, budget, steps)
            objective = searched.objective
        traces += objective.traces(budget)
    return traces


def _sense(
    method: str, problem: LeastSquares, setting: str, runs: range, budget: int, rule: StepRule
) -> list[Trace]:
    """Run all seeds of a combination as one batch."""
    noise = [generator_of("noise", setting, problem.name, seed) for seed in runs]
    draws = [generator_of(method, setting, problem.name, seed) for seed in runs]
    objective = Objective(problem, setting, noise)
    descend(objective, *SENSING[method], draws, budget, rule)
    return objective.traces(budget)
