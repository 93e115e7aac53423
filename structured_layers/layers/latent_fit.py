"""The code whose decoded weight is nearest to a dense one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacfwd

STARTS = 6
ITERATIONS = 100
EXACT = 1e-10  # of the weight's norm: no start does better
SMALLEST_DAMPING, LARGEST_DAMPING = 1e-12, 1e8


def fit_code(decode: Callable[[Tensor], Tensor], weight: Tensor, latent_size: int) -> Tensor:
    """Return the best code that damped Gauss-Newton steps find from several starts.

    The first start is zero, the others are normal draws that are always the same.

    Args:
        decode: the map from codes (k,) to weights, that forward-mode derivatives know.
        weight: (out, in) float64.
        latent_size: k.

    Returns:
        (k,) float64.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    starts = torch.randn(STARTS, latent_size, generator=generator, dtype=weight.dtype, device="cpu")
    starts[0] = 0
    exact = EXACT * float(weight.norm())
    best, smallest = starts[0], torch.inf
    for start in starts:
        code, error = _descend(lambda z: (decode(z) - weight).flatten(), start, exact)
        if error < smallest:
            best, smallest = code, error
        if smallest <= exact:
            break
    return best


@torch.no_grad()
def _descend(
    residual: Callable[[Tensor], Tensor], code: Tensor, exact: float
) -> tuple[Tensor, float]:
    """Return the end of one descent and its distance (Levenberg 1944, Marquardt 1963)."""
    damping = 1e-3
    found = residual(code)
    error = float(found.norm())
    for _ in range(ITERATIONS):
        jacobian = jacfwd(residual)(code)  # (out * in, k)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ found
        before = error
        while damping < LARGEST_DAMPING:
            step = _solve(normal, slope, damping)
            tried = residual(code - step)
            if float(tried.norm()) < error:
                code, found, error = code - step, tried, float(tried.norm())
                damping = max(damping / 10, SMALLEST_DAMPING)
                break
            damping *= 10
        if error <= exact or before - error <= 1e-9 * before:
            break
    return code, error


def _solve(normal: Tensor, slope: Tensor, damping: float) -> Tensor:
    # In units of the largest curvature, so that the scale of the weights plays no part.
    size = float(normal.diagonal().max())
    identity = torch.eye(len(slope), dtype=slope.dtype, device=slope.device)
    step: Tensor = torch.linalg.solve(normal + damping * max(size, 1e-300) * identity, slope)
    return step
