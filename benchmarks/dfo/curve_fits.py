"""Functions of the suite that fit curves, most of them to measured data.

Definitions of Moré, Garbow and Hillstrom (1981); i counts from 1. Every function maps a batch of
points (batch, n) to its residuals (batch, m).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .algebraic import count
from .measured_data import (
    BARD,
    KOWALIK_OSBORNE_U,
    KOWALIK_OSBORNE_Y,
    MEYER,
    OSBORNE_1,
    OSBORNE_2,
)


def columns(x: Tensor) -> tuple[Tensor, ...]:
    """Return the variables as columns (batch, 1), to be spread over the residuals."""
    return x[:, :, None].unbind(1)


def data(values: tuple[float, ...]) -> Tensor:
    """Return measurements as a row of residuals."""
    return torch.tensor(values, dtype=torch.float64)


def bard(x: Tensor, m: int) -> Tensor:
    """F_i = y_i − (x₁ + u / (v x₂ + w x₃)), u = i, v = 16 − i, w = min(u, v)."""
    a, b, c = columns(x)
    u = count(m)
    v = 16 - u
    return data(BARD) - (a + u / (v * b + torch.minimum(u, v) * c))


def kowalik_osborne(x: Tensor, m: int) -> Tensor:
    """F_i = y_i − x₁ (u² + u x₂) / (u² + u x₃ + x₄)."""
    a, b, c, d = columns(x)
    u = data(KOWALIK_OSBORNE_U)
    return data(KOWALIK_OSBORNE_Y) - a * (u**2 + u * b) / (u**2 + u * c + d)


def meyer(x: Tensor, m: int) -> Tensor:
    """F_i = x₁ exp(x₂ / (45 + 5 i + x₃)) − y_i."""
    a, b, c = columns(x)
    return a * torch.exp(b / (45 + 5 * count(m) + c)) - data(MEYER)


def box(x: Tensor, m: int) -> Tensor:
    """F_i = exp(−t x₁) − exp(−t x₂) − x₃ (exp(−t) − exp(−10 t)), t = i/10."""
    a, b, c = columns(x)
    t = count(m) / 10
    return torch.exp(-t * a) - torch.exp(-t * b) - c * (torch.exp(-t) - torch.exp(-10 * t))


def jennrich_sampson(x: Tensor, m: int) -> Tensor:
    """F_i = 2 + 2 i − exp(i x₁) − exp(i x₂)."""
    a, b = columns(x)
    i = count(m)
    return 2 + 2 * i - torch.exp(i * a) - torch.exp(i * b)


def brown_dennis(x: Tensor, m: int) -> Tensor:
    """F_i = (x₁ + t x₂ − exp t)² + (x₃ + x₄ sin t − cos t)², t = i/5."""
    a, b, c, d = columns(x)
    t = count(m) / 5
    return (a + t * b - torch.exp(t)) ** 2 + (c + d * torch.sin(t) - torch.cos(t)) ** 2


def osborne_1(x: Tensor, m: int) -> Tensor:
    """F_i = y_i − (x₁ + x₂ exp(−t x₄) + x₃ exp(−t x₅)), t = 10 (i − 1)."""
    a, b, c, d, e = columns(x)
    t = 10 * (count(m) - 1)
    return data(OSBORNE_1) - (a + b * torch.exp(-t * d) + c * torch.exp(-t * e))


def osborne_2(x: Tensor, m: int) -> Tensor:
    """F_i = y_i − (x₁ exp(−t x₅) + Σ_{k=2..4} x_k exp(−x_{k+4} (t − x_{k+7})²)), t = (i − 1)/10."""
    v = columns(x)
    t = (count(m) - 1) / 10
    model = v[0] * torch.exp(-t * v[4])
    for k in (1, 2, 3):
        model = model + v[k] * torch.exp(-v[k + 4] * (t - v[k + 7]) ** 2)
    return data(OSBORNE_2) - model
