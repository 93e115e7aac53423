"""Where a genetic algorithm begins, and how far it mutates each weight."""

from __future__ import annotations

import torch
from evotorch import Problem
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import Center, center_tensor


def founder_rows(problem: Problem, initial: Center | None, popsize: int) -> Tensor:
    """Return the founders of a genetic algorithm.

    Args:
        problem: tells the length and the dtype of a solution.
        initial: (d,) or (n, d) finite numbers; None draws ``popsize`` as the problem does.
        popsize: how many there may be.

    Returns:
        (n, d)

    Raises:
        StructuredLayersError: other shapes, too many of them, or numbers that are not finite.
    """
    if getattr(problem, "search_space", None) is not None:
        raise StructuredLayersError(
            "this problem has a search space, whose decisions are no numbers to mutate; take "
            "ESENAS with a controller, or a problem without search_space"
        )
    length, dtype = int(problem.solution_length), problem.dtype
    if initial is None:
        drawn: Tensor = problem.generate_values(popsize)
        return drawn.as_subclass(Tensor).to("cpu", copy=True)
    try:
        rows = torch.as_tensor(initial).detach().as_subclass(Tensor)
        rows = rows.to("cpu", dtype, copy=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StructuredLayersError(
            f"initial must be numbers of shape ({length},) or (n, {length}), got {initial!r}"
        ) from error
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != length or not 1 <= len(rows) <= popsize:
        raise StructuredLayersError(
            f"initial must have shape ({length},) or (n, {length}) with n from 1 to the popsize, "
            f"{popsize}, got {tuple(torch.as_tensor(initial).shape)}"
        )
    if not bool(rows.isfinite().all()):
        raise StructuredLayersError(
            f"initial must be finite, got {int((~rows.isfinite()).sum())} of {rows.numel()} "
            f"entries that are not"
        )
    return rows


def scale_vector(scales: Center | None, length: int, dtype: torch.dtype) -> Tensor:
    """Return the factors on σ, (d,).

    Raises:
        StructuredLayersError: another shape, or factors that are not positive and finite.
    """
    if scales is None:
        return torch.ones(length, dtype=dtype)
    vector = center_tensor(scales, length, dtype, ", one for each weight", name="scales")
    if not bool((vector > 0).all()):
        raise StructuredLayersError(
            f"scales must be above zero, got {int((vector <= 0).sum())} of {length} that are not"
        )
    return vector
