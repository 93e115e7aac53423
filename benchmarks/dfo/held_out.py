"""Problems outside the suite, on which step sizes are chosen: of the same collection and kind.

Definitions of Moré, Garbow and Hillstrom (1981), their problems 5, 14, 25, 26, 28 and 30.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .algebraic import count
from .least_squares import LeastSquares


def beale(x: Tensor, m: int) -> Tensor:
    """F_i = y_i − x₁ (1 − x₂^i), y = 1.5, 2.25, 2.625."""
    y = torch.tensor([1.5, 2.25, 2.625], dtype=x.dtype)
    return y - x[:, :1] * (1 - x[:, 1:] ** count(3))


def wood(x: Tensor, m: int) -> Tensor:
    """Two Rosenbrock functions, the second with √90 for 10, coupled by two linear residuals."""
    a, b, c, d = x.unbind(1)
    rows = [10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c]
    return torch.stack([*rows, 10**0.5 * (b + d - 2), (b - d) / 10**0.5], 1)


def variably_dimensioned(x: Tensor, m: int) -> Tensor:
    """F = (x_j − 1), s = Σ j (x_j − 1), and s²."""
    total = ((x - 1) * count(x.shape[1])).sum(1, keepdim=True)
    return torch.cat([x - 1, total, total**2], 1)


def trigonometric(x: Tensor, m: int) -> Tensor:
    """F_i = n − Σ cos x_j + i (1 − cos x_i) − sin x_i."""
    n, cosines = x.shape[1], torch.cos(x)
    return n - cosines.sum(1, keepdim=True) + count(n) * (1 - cosines) - torch.sin(x)


def discrete_boundary_value(x: Tensor, m: int) -> Tensor:
    """F_i = 2 x_i − x_{i−1} − x_{i+1} + h² (x_i + t_i + 1)³/2, t_i = i h, h = 1/(n + 1)."""
    h = 1 / (x.shape[1] + 1)
    around = pad(x, (1, 1))
    bend = 2 * x - around[:, :-2] - around[:, 2:]
    return bend + h**2 * (x + count(x.shape[1]) * h + 1) ** 3 / 2


def broyden_tridiagonal(x: Tensor, m: int) -> Tensor:
    """F_i = (3 − 2 x_i) x_i − x_{i−1} − 2 x_{i+1} + 1."""
    around = pad(x, (1, 1))
    return (3 - 2 * x) * x - around[:, :-2] - 2 * around[:, 2:] + 1


def held_out_problems() -> tuple[LeastSquares, ...]:
    """Return the six problems at sizes like the suite's."""
    grid = [j / 13 for j in range(1, 13)]
    starts = (
        (beale, 3, (1.0, 1.0)),
        (wood, 6, (-3.0, -1.0, -3.0, -1.0)),
        (variably_dimensioned, 10, tuple(1 - j / 8 for j in range(1, 9))),
        (trigonometric, 6, (1 / 6,) * 6),
        (discrete_boundary_value, 12, tuple(10 * t * (t - 1) for t in grid)),
        (broyden_tridiagonal, 10, (-1.0,) * 10),
    )
    return tuple(LeastSquares(f.__name__, f.__name__, f, m, start) for f, m, start in starts)
