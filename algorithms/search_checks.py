"""What a problem, its fitnesses and the gradient from them must be for an evolution strategy."""

from __future__ import annotations

import copy
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers.errors import EvaluationError, StructuredLayersError


def check_problem(problem: Problem, algorithm: str = "an evolution strategy") -> None:
    """Raise unless there is one objective of real numbers without bounds.

    Args:
        problem: the search's.
        algorithm: names the search in the errors.
    """
    if not isinstance(problem, Problem):
        raise StructuredLayersError(f"problem must be an EvoTorch Problem, got {problem!r}")
    problem.ensure_single_objective()
    dtype = problem.dtype
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise StructuredLayersError(
            f"{algorithm} needs a problem of floating-point numbers, got dtype {dtype}"
        )
    if problem.lower_bounds is not None or problem.upper_bounds is not None:
        raise StructuredLayersError(
            f"{algorithm} cannot keep a problem's bounds; give the problem initial_bounds "
            "instead, and map its solutions into the bounds inside the objective"
        )


def check_fitnesses(evals: Tensor) -> None:
    """Raise unless every fitness is finite."""
    broken = ~evals.isfinite()
    if bool(broken.any()):
        first = int(broken.nonzero()[0])
        raise EvaluationError(
            f"{int(broken.sum())} of {len(evals)} fitnesses are not finite, the first is "
            f"{float(evals[first])} of candidate {first}; return a large finite number for "
            f"candidates that fail"
        )


def checked_gradient(gradient: Tensor, center: Tensor) -> Tensor:
    """Return the gradient, of the centre's dtype, or raise unless it can be followed."""
    if not isinstance(gradient, Tensor) or gradient.shape != center.shape:
        got = tuple(gradient.shape) if isinstance(gradient, Tensor) else repr(gradient)
        raise StructuredLayersError(
            f"the estimator must return a tensor of shape ({len(center)},), got {got}"
        )
    gradient = gradient.to(center.dtype)
    broken = int((~gradient.isfinite()).sum())
    if broken:
        raise EvaluationError(
            f"the estimate of the gradient is not finite in {broken} of {len(center)} entries; "
            f"take smaller fitnesses, another ranking_method or, if it is your own, mend the "
            f"estimator"
        )
    return gradient


class CheckedBatch(SolutionBatch):
    """A batch that refuses to name the best of fitnesses that are not all finite.

    EvoTorch's problems ask for it right after an evaluation, before they keep records of the best
    and the worst solution: NaN would leave them with none, and an infinite one stay for good.
    """

    def argbest(self, obj_index: int | None = None) -> Tensor:
        """Return the best solution's number, or raise EvaluationError."""
        # a plain tensor: EvoTorch hands out read-only ones
        check_fitnesses(self.evals[:, obj_index or 0].as_subclass(Tensor))
        best: Tensor = super().argbest(obj_index)
        return best


_RECORDS = ("_best", "_worst", "_best_evals", "_worst_evals", "_after_eval_status")


def problem_records(problem: Problem) -> dict[str, Any]:
    """Return a copy of what an EvoTorch problem remembers of its evaluations."""
    # the lists and tensors change in place, the solutions in them do not
    return {
        name: value.clone() if isinstance(value := getattr(problem, name), Tensor)
        else copy.copy(value)
        for name in _RECORDS
    }  # fmt: skip


def restore_problem_records(problem: Problem, records: dict[str, Any]) -> None:
    """Put back what :func:`problem_records` returned."""
    for name, value in records.items():
        setattr(problem, name, value)
