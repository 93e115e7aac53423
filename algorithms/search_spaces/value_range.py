"""Checks of decisions."""

from __future__ import annotations

from torch import Tensor

from structured_layers.errors import StructuredLayersError


def check_range(what: str, decisions: Tensor, num_values: int) -> None:
    """Raise unless all decisions lie in 0..num_values - 1.

    Args:
        what: names the decisions in the error.
        decisions: of any shape, also empty.
        num_values: how many values there are.
    """
    if not decisions.numel():
        return
    low, high = int(decisions.min()), int(decisions.max())
    if low < 0 or high >= num_values:
        raise StructuredLayersError(
            f"{what} must lie in 0..{num_values - 1}, got values from {low} to {high}"
        )
