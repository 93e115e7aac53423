"""Estimators of the gradient of the smoothing J(θ) = E[F(θ + σε)]: pure functions.

All sums run in double precision by elementwise operations, so that the bits depend neither on a
BLAS nor on how memory is aligned. ``directions`` are the rows ε_i, (N, d), or an iterable of blocks
of them in their order, each (n, d), of which one is held at a time.

Two kinds of control variate are arguments of each, and keep the mean as it is:

- ``baseline`` b, subtracted from the values. It must not depend on the directions of this call.
- ``slope`` a, (d,): what a gradient of a would contribute, σ aᵀε_i, is subtracted from the values,
  and its mean, a itself, is added to the sum. It must not depend on the directions either, and
  E[ε εᵀ] = I must hold, as it does for all kinds of directions here; else the estimate is biased by
  (I − E[ε εᵀ]) a.

Raises:
    StructuredLayersError: values, directions, baseline or slope whose shapes do not belong
        together, or a ``stdev`` that is not positive.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import check_positive


def vanilla(
    values: Tensor,
    directions: Tensor | Iterable[Tensor],
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(Nσ) Σ (F(θ + σε_i) − b) ε_i.

    Args:
        values: F(θ + σε_i), (N,).
        directions: ε_i, (N, d) or blocks of them.
        stdev: σ.
        baseline: b, a number or one for each direction (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Salimans et al., 2017 (arXiv 1703.03864); [SE] calls it ES-style.
    """
    return _weighted_mean(_less(values.double(), baseline), directions, stdev, slope)


def antithetic(
    values_plus: Tensor,
    values_minus: Tensor,
    directions: Tensor | Iterable[Tensor],
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(2Nσ) Σ (F(θ + σε_i) − F(θ − σε_i) − b) ε_i.

    Args:
        values_plus: F(θ + σε_i), (N,).
        values_minus: F(θ − σε_i), (N,).
        directions: ε_i, (N, d) or blocks of them.
        stdev: σ.
        baseline: b, what the difference of a pair is expected to be for other reasons than ε_i, as
            when the two signs have different structures; a number or (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), antithetic ES.
    """
    # in double precision from the start: close values, or huge ones, would not survive in single
    differences = _less(values_plus.double(), values_minus.double())
    return _weighted_mean(_less(differences, baseline) / 2, directions, stdev, slope)


def forward_difference(
    values: Tensor,
    center_value: Tensor | float,
    directions: Tensor | Iterable[Tensor],
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(Nσ) Σ (F(θ + σε_i) − F(θ) − b) ε_i.

    Args:
        values: F(θ + σε_i), (N,).
        center_value: F(θ), from evaluations that do not enter ``values``.
        directions: ε_i, (N, d) or blocks of them.
        stdev: σ.
        baseline: b, what a value exceeds the centre's by for other reasons than ε_i, as when
            candidates have structures of their own; a number or (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), FD-style ES.
    """
    differences = _less(values.double(), center_value)
    return _weighted_mean(_less(differences, baseline), directions, stdev, slope)


def _less(values: Tensor, expected: Tensor | float) -> Tensor:
    """Return values less what is expected of them: one number, or one for each of the values."""
    if isinstance(expected, Tensor) and expected.shape not in ((), values.shape):
        raise StructuredLayersError(
            f"what is subtracted from values of shape {tuple(values.shape)} must be a number or "
            f"have their shape, got {tuple(expected.shape)}"
        )
    return values - expected


def _weighted_mean(
    weights: Tensor, directions: Tensor | Iterable[Tensor], stdev: float, slope: Tensor | None
) -> Tensor:
    """Return 1/(Nσ) Σ (w_i − σ aᵀε_i) ε_i + a, all in double precision."""
    check_positive("stdev", stdev)
    if weights.dim() != 1 or not len(weights):
        raise StructuredLayersError(
            f"values must have shape (N,), N at least 1, got {tuple(weights.shape)}"
        )
    total: Tensor | None = None
    products = torch.empty(0, 0, dtype=torch.float64)  # of a block, in memory that all share
    dtype, start = torch.float64, 0
    for rows in [directions] if isinstance(directions, Tensor) else directions:
        _check_rows(rows, len(weights) - start, None if total is None else len(total), slope)
        if len(products) < len(rows):
            products = torch.empty(rows.shape, dtype=torch.float64)
        part, out = weights[start : start + len(rows)], products[: len(rows)]
        if slope is not None:
            part = part - stdev * torch.mul(rows, slope.double(), out=out).sum(dim=1)
        added = torch.mul(part[:, None], rows, out=out).sum(dim=0)
        total = added if total is None else total + added
        dtype, start = rows.dtype, start + len(rows)
    if total is None or start != len(weights):
        raise StructuredLayersError(f"{len(weights)} values need as many directions, got {start}")
    mean = total / (len(weights) * stdev)
    return (mean if slope is None else mean + slope.double()).to(dtype)


def _check_rows(rows: Tensor, limit: int, dimension: int | None, slope: Tensor | None) -> None:
    if rows.dim() != 2 or len(rows) > limit or (dimension or rows.shape[1]) != rows.shape[1]:
        raise StructuredLayersError(
            f"directions must have shape (N, d), a row for each of the values, of which "
            f"{limit} are left; got {tuple(rows.shape)}"
        )
    if slope is not None and tuple(slope.shape) != (rows.shape[1],):
        raise StructuredLayersError(
            f"slope must have shape ({rows.shape[1]},), got {tuple(slope.shape)}"
        )
