"""Functions of the suite that are linear, polynomial or otherwise given by equations.

Indices i and j count from 1, as in the definitions of Moré, Garbow and Hillstrom (1981); Bdqrtic,
Cube, Mancino and Heart 8 are from the CUTE collection. Every function maps a batch of points
(batch, n) to its residuals (batch, m).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad


def count(last: int) -> Tensor:
    """Return 1, …, last."""
    return torch.arange(1, last + 1, dtype=torch.float64)


def linear_full_rank(x: Tensor, m: int) -> Tensor:
    """F_i = x_i − (2/m) Σ x_j − 1, with x_i = 0 for i > n."""
    return pad(x, (0, m - x.shape[1])) - 2 / m * x.sum(1, keepdim=True) - 1


def linear_rank_one(x: Tensor, m: int) -> Tensor:
    """F_i = i Σ j x_j − 1."""
    total = (x * count(x.shape[1])).sum(1, keepdim=True)
    return total * count(m) - 1


def linear_rank_one_with_zeros(x: Tensor, m: int) -> Tensor:
    """F_i = (i − 1) Σ_{1<j<n} j x_j − 1, and F_m = −1."""
    inner = (x * count(x.shape[1]))[:, 1:-1].sum(1, keepdim=True)
    factors = pad(count(m - 2), (1, 1))  # 0, 1, …, m − 2, 0
    return inner * factors - 1


def rosenbrock(x: Tensor, m: int) -> Tensor:
    """F = (10 (x₂ − x₁²), 1 − x₁)."""
    return torch.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]], 1)


def helical_valley(x: Tensor, m: int) -> Tensor:
    """F = (10 (x₃ − 10 θ), 10 (r − 1), x₃): θ the angle of (x₁, x₂) in turns, in (−¼, ¾]."""
    a, b = x[:, 0], x[:, 1] + 0.0  # turns −0 into 0, whose angle is π
    turns = torch.atan2(b, a) / (2 * math.pi)
    turns = turns + ((a < 0) & (b < 0))
    return torch.stack([10 * (x[:, 2] - 10 * turns), 10 * (torch.hypot(a, b) - 1), x[:, 2]], 1)


def powell_singular(x: Tensor, m: int) -> Tensor:
    """F = (x₁ + 10 x₂, √5 (x₃ − x₄), (x₂ − 2 x₃)², √10 (x₁ − x₄)²)."""
    a, b, c, d = x.unbind(1)
    return torch.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2], 1)


def freudenstein_roth(x: Tensor, m: int) -> Tensor:
    """F = (x₁ − 13 + ((5 − x₂) x₂ − 2) x₂, x₁ − 29 + ((1 + x₂) x₂ − 14) x₂)."""
    a, b = x.unbind(1)
    return torch.stack([a - 13 + ((5 - b) * b - 2) * b, a - 29 + ((1 + b) * b - 14) * b], 1)


def watson(x: Tensor, m: int) -> Tensor:
    """F_i = Σ (j − 1) x_j t^{j−2} − (Σ x_j t^{j−1})² − 1 with t = i/29; x₁; x₂ − x₁² − 1."""
    n = x.shape[1]
    powers = (count(29) / 29)[:, None] ** torch.arange(n, dtype=x.dtype)  # (29, n)
    slope = (x[:, 1:] * count(n - 1)) @ powers[:, :-1].T
    fits = slope - (x @ powers.T) ** 2 - 1
    return torch.cat([fits, x[:, :1], x[:, 1:2] - x[:, :1] ** 2 - 1], 1)


def chebyquad(x: Tensor, m: int) -> Tensor:
    """F_i = (1/n) Σ_j T_i(x_j) − ∫ T_i, T_i the Chebyshev polynomials shifted to [0, 1]."""
    previous, current = torch.ones_like(x), 2 * x - 1
    means = []
    for _ in range(m):
        means.append(current.mean(1))
        previous, current = current, 2 * (2 * x - 1) * current - previous
    degrees = count(m)
    integrals = torch.where(degrees % 2 == 0, -1 / (degrees**2 - 1), 0.0)
    return torch.stack(means, 1) - integrals


def brown_almost_linear(x: Tensor, m: int) -> Tensor:
    """F_i = x_i + Σ x_j − (n + 1) for i < n, F_n = Π x_j − 1."""
    linear = x[:, :-1] + x.sum(1, keepdim=True) - (x.shape[1] + 1)
    return torch.cat([linear, x.prod(1, keepdim=True) - 1], 1)


def bdqrtic(x: Tensor, m: int) -> Tensor:
    """F = (3 − 4 x_i), then (x_i² + 2 x_{i+1}² + 3 x_{i+2}² + 4 x_{i+3}² + 5 x_n²), i ≤ n − 4."""
    k = x.shape[1] - 4
    squares = x**2
    quartics = sum((s + 1) * squares[:, s : s + k] for s in range(4)) + 5 * squares[:, -1:]
    return torch.cat([3 - 4 * x[:, :k], quartics], 1)


def cube(x: Tensor, m: int) -> Tensor:
    """F_1 = x₁ − 1, F_i = 10 (x_i − x_{i−1}³)."""
    return torch.cat([x[:, :1] - 1, 10 * (x[:, 1:] - x[:, :-1] ** 3)], 1)


def mancino(x: Tensor, m: int) -> Tensor:
    """F_i = 1400 x_i + (i − 50)³ + Σ_j h(√(x_i² + i/j))."""
    return 1400 * x + (count(m) - 50) ** 3 + mancino_sum(x)


def mancino_sum(x: Tensor) -> Tensor:
    """Σ_j h(√(x_i² + i/j)), h(v) = v (sin⁵(log v) + cos⁵(log v))."""
    i = count(x.shape[1])
    v = torch.sqrt(x[:, :, None] ** 2 + i[:, None] / i)
    angle = torch.log(v)
    return (v * (torch.sin(angle) ** 5 + torch.cos(angle) ** 5)).sum(2)


def heart8(x: Tensor, m: int) -> Tensor:
    """The real and imaginary parts of Σ_l p_l q_l^k − s_k for k = 0, 1, 2, 3.

    With p = (x₁ + i x₃, x₂ + i x₄) and q = (x₅ + i x₇, x₆ + i x₈): the eight equations of a dipole
    model of the heart.
    """
    p = torch.complex(x[:, 0:2], x[:, 2:4])
    q = torch.complex(x[:, 4:6], x[:, 6:8])
    moments = torch.view_as_real(torch.stack([(p * q**k).sum(1) for k in range(4)], 1))
    sums = torch.tensor([-0.69, -0.044, -1.57, -1.31, -2.65, 2.0, -12.6, 9.48], dtype=x.dtype)
    return moments.flatten(1) - sums
