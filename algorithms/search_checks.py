"""What a problem, and the fitnesses it returns, must be for an evolution strategy."""

from __future__ import annotations

from numbers import Integral

import torch
from evotorch import Problem
from torch import Tensor

from structured_layers.errors import EvaluationError, StructuredLayersError


def check_problem(problem: Problem) -> None:
    """Raise unless there is one objective of real numbers without bounds."""
    problem.ensure_single_objective()
    dtype = problem.dtype
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise StructuredLayersError(
            f"an evolution strategy needs a problem of floating-point numbers, got dtype {dtype}"
        )
    if problem.lower_bounds is not None or problem.upper_bounds is not None:
        raise StructuredLayersError(
            "an evolution strategy cannot keep a problem's bounds; give the problem initial_bounds "
            "instead, and map its solutions into the bounds inside the objective"
        )


def check_counts(popsize: int, num_center: int) -> None:
    """Raise unless a generation can have these sizes."""
    if not isinstance(popsize, Integral) or popsize < 2:
        raise StructuredLayersError(f"popsize must be an integer of at least 2, got {popsize}")
    if num_center < 0:
        raise StructuredLayersError(f"num_center_evaluations must be at least 0, got {num_center}")


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
