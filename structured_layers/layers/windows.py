"""Overlapping windows of a sequence, without copying it."""

from __future__ import annotations

from torch import Tensor


def windows(values: Tensor, count: int, size: int, start: int | None = None) -> Tensor:
    """Return the view whose row i is ``values[i : i + size]``; rows overlap.

    As ``values.unfold(-1, size, 1)``, whose backward pass knows no vmap.

    Args:
        values: (*batch, count + size - 1 or more).
        count: number of rows.
        size: number of columns.
        start: where the first row begins, in a tensor that is no slice of another one.

    Returns:
        (*batch, count, size), not to be written to.
    """
    values = values.contiguous()
    if values.ndim == 1:  # quick, for the policies that are called millions of times
        return values.as_strided((count, size), (1, 1), start)
    shape = (*values.shape[:-1], count, size)
    return values.as_strided(shape, (*values.stride()[:-1], 1, 1), start)
