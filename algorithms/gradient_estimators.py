"""Estimators of the gradient of the Gaussian smoothing J(θ) = E[F(θ + σε)]: pure functions."""

from __future__ import annotations

from torch import Tensor


def antithetic(
    values_plus: Tensor, values_minus: Tensor, directions: Tensor, stdev: float
) -> Tensor:
    """Return 1/(2Nσ) Σ (F(θ + σε_i) − F(θ − σε_i)) ε_i.

    Summed in double precision by elementwise operations, so that the bits depend neither on a BLAS
    nor on how memory is aligned.

    Args:
        values_plus: F(θ + σε_i), (N,).
        values_minus: F(θ − σε_i), (N,).
        directions: ε_i, (N, d).
        stdev: σ.

    Returns:
        (d,), of the directions' dtype.

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), antithetic ES.
    """
    differences = (values_plus - values_minus).double()
    total = (differences[:, None] * directions.double()).sum(dim=0)
    return (total / (2 * len(directions) * stdev)).to(directions.dtype)
