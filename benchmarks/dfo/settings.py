"""The four settings of a problem: what a method sees, and what it is scored by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .least_squares import LeastSquares

NOISE = 1e-3
LARGEST = 1e100  # stands for overflow: its square and sums of it are still finite

Draw = Callable[[tuple[int, ...]], Tensor]
"""Uniform numbers in [0, 1) of a shape."""


def smooth(problem: LeastSquares, points: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """f = Σ F²."""
    value = sum_of_squares(problem(points))
    return value, value


def nondifferentiable(problem: LeastSquares, points: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """f = Σ |F|, for some functions at max(x, 0)."""
    value = problem(points.clamp(min=0) if problem.positive_part else points).abs().sum(1)
    return value, value


def deterministic_noise(problem: LeastSquares, points: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """f = (1 + 10⁻³ φ(x)) Σ F²: a function like any other, so it is scored by itself."""
    value = (1 + NOISE * oscillation(points)) * sum_of_squares(problem(points))
    return value, value


def stochastic(problem: LeastSquares, points: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Σ (F (1 + u))², u uniform in ±10⁻³ and drawn anew, is seen; Σ F² is scored."""
    residuals = problem(points)
    noise = NOISE * (2 * draw(tuple(residuals.shape)) - 1)
    return sum_of_squares(residuals * (1 + noise)), sum_of_squares(residuals)


SETTINGS: dict[str, Callable[[LeastSquares, Tensor, Draw], tuple[Tensor, Tensor]]] = {
    "smooth": smooth,
    "nondifferentiable": nondifferentiable,
    "deterministic-noise": deterministic_noise,
    "stochastic": stochastic,
}


def sum_of_squares(residuals: Tensor) -> Tensor:
    """Σ F²."""
    return (residuals**2).sum(1)


def oscillation(points: Tensor) -> Tensor:
    """φ(x) = T₃(0.9 sin(100 ‖x‖₁) cos(100 ‖x‖_∞) + 0.1 cos ‖x‖₂), T₃(z) = z (4 z² − 3)."""
    fast = torch.sin(100 * points.abs().sum(1)) * torch.cos(100 * points.abs().amax(1))
    z = 0.9 * fast + 0.1 * torch.cos(points.norm(dim=1))
    return z * (4 * z**2 - 3)


def evaluate(
    problem: LeastSquares, setting: str, points: Tensor, draw: Draw
) -> tuple[Tensor, Tensor]:
    """Return what a method sees and what it is scored by, both to be minimised.

    Args:
        problem: one of the suite.
        setting: a name among ``SETTINGS``.
        points: (batch, n).
        draw: where random numbers come from; only the stochastic setting asks.

    Returns:
        Two tensors (batch,) without infinities and NaN: overflow counts as ``LARGEST``.
    """
    if setting not in SETTINGS:
        raise StructuredLayersError(
            f"setting must be one of {', '.join(SETTINGS)}, got {setting!r}"
        )
    seen, scored = SETTINGS[setting](problem, points, draw)
    return bounded(seen), bounded(scored)


def bounded(values: Tensor) -> Tensor:
    """Replace NaN and what is above ``LARGEST``."""
    return torch.nan_to_num(values, nan=LARGEST, posinf=LARGEST).clamp(max=LARGEST)
