"""What a run writes down of the generation that just ended."""

from __future__ import annotations

from typing import Any, cast

from evotorch import SolutionBatch
from torch import Tensor

from structured_layers.algorithms.weight_search import WeightSearch

from .history import History
from .policy_problem import PolicyProblem
from .progress import QUANTILES
from .run_network import num_weights


def progress_row(search: WeightSearch, problem: PolicyProblem, seconds: float) -> dict[str, Any]:
    """Return the row of ``progress.csv``.

    Args:
        search: after a step, with at least one evaluation of the centre.
        problem: which evaluated it.
        seconds: of training so far.
    """
    population = cast(SolutionBatch, search.population).evals.as_subclass(Tensor)
    center = cast(SolutionBatch, search.center_population)
    status = search.status
    returns = population[:, 1].double()
    return {
        "generation": int(search.step_count),
        "env_steps": problem.env_steps,
        "seconds": round(seconds, 3),
        "return_mean": float(returns.mean()),
        "return_best": float(returns.max()),
        "return_center": float(center.evals[search.center_kept(), 1].double().mean()),
        "num_weights": num_weights(problem, center.values[0]),
        "controller_updates": status.get("controller_updates", 0),
        "failed_candidates": problem.num_failed,
        "warned_candidates": problem.num_warned,
        "update_norm": status["update_norm"],
        "fitness_mean": float(population[:, 0].double().mean()),
        "episode_steps_mean": float(population[:, 2].double().mean()),
        **{name: float(returns.quantile(share)) for name, share in QUANTILES.items()},
    }


def record_structures(history: History, search: WeightSearch, problem: PolicyProblem) -> None:
    """Count what was proposed, and take a snapshot of the centre when one is due."""
    proposed = cast(SolutionBatch, search.population).values.as_subclass(Tensor)
    center = cast(SolutionBatch, search.center_population).values.as_subclass(Tensor)[0]
    start = problem.num_parameters
    history.observe(proposed[:, start:].long())
    history.take(int(search.step_count), problem.env_steps, center[:start], center[start:].long())
