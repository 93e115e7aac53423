"""Estimators of the gradient of the smoothing J(θ) = E[F(θ + σε)]: pure functions.

All sums run in double precision by elementwise operations, so that the bits depend neither on a
BLAS nor on how memory is aligned.

Two kinds of control variate are arguments of each, and keep the mean as it is:

- ``baseline`` b, subtracted from the values. It must not depend on the directions of this call.
- ``slope`` a, (d,): what a gradient of a would contribute, σ aᵀε_i, is subtracted from the values,
  and its mean, a itself, is added to the sum. It must not depend on the directions either, and
  E[ε εᵀ] = I must hold, as it does for all kinds of directions here.
"""

from __future__ import annotations

from torch import Tensor


def vanilla(
    values: Tensor,
    directions: Tensor,
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(Nσ) Σ (F(θ + σε_i) − b) ε_i.

    Args:
        values: F(θ + σε_i), (N,).
        directions: ε_i, (N, d).
        stdev: σ.
        baseline: b, a number or one for each direction (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Salimans et al., 2017 (arXiv 1703.03864); [SE] calls it ES-style.
    """
    return _weighted_mean(values.double() - baseline, directions, stdev, slope)


def antithetic(
    values_plus: Tensor,
    values_minus: Tensor,
    directions: Tensor,
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(2Nσ) Σ (F(θ + σε_i) − F(θ − σε_i) − b) ε_i.

    Args:
        values_plus: F(θ + σε_i), (N,).
        values_minus: F(θ − σε_i), (N,).
        directions: ε_i, (N, d).
        stdev: σ.
        baseline: b, what the difference of a pair is expected to be for other reasons than ε_i, as
            when the two signs have different structures; a number or (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), antithetic ES.
    """
    differences = (values_plus - values_minus).double() - baseline
    return _weighted_mean(differences / 2, directions, stdev, slope)


def forward_difference(
    values: Tensor,
    center_value: Tensor | float,
    directions: Tensor,
    stdev: float,
    *,
    baseline: Tensor | float = 0.0,
    slope: Tensor | None = None,
) -> Tensor:
    """Return 1/(Nσ) Σ (F(θ + σε_i) − F(θ) − b) ε_i.

    Args:
        values: F(θ + σε_i), (N,).
        center_value: F(θ), from evaluations that do not enter ``values``.
        directions: ε_i, (N, d).
        stdev: σ.
        baseline: b, what a value exceeds the centre's by for other reasons than ε_i, as when
            candidates have structures of their own; a number or (N,).
        slope: a, (d,), see above; None is zero.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), FD-style ES.
    """
    return _weighted_mean(values.double() - center_value - baseline, directions, stdev, slope)


def _weighted_mean(
    weights: Tensor, directions: Tensor, stdev: float, slope: Tensor | None
) -> Tensor:
    """Return 1/(Nσ) Σ (w_i − σ aᵀε_i) ε_i + a, all in double precision."""
    rows = directions.double()
    if slope is not None:
        weights = weights - stdev * (rows * slope.double()).sum(dim=1)
    mean = (weights[:, None] * rows).sum(dim=0) / (len(rows) * stdev)
    return (mean if slope is None else mean + slope.double()).to(directions.dtype)
