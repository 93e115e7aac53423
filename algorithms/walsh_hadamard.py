"""The fast Walsh–Hadamard transform: products with S, the normalised Hadamard matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError


def padded_size(dimension: int) -> int:
    """Return the smallest power of two that is at least ``dimension``."""
    return 1 << max(dimension - 1, 0).bit_length()


def walsh_hadamard_(values: Tensor) -> Tensor:
    """Replace each row v by S·v, S = H/√n with Sylvester's H, and return the same tensor.

    S is symmetric and its own inverse. One row takes O(n log n) additions and n/2 numbers of
    further memory; S itself is never built.

    Args:
        values: (…, n), contiguous, floating point, n a power of two.

    Raises:
        StructuredLayersError: another n, or values that cannot be transformed in place.

    Examples:
        >>> walsh_hadamard_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    size = values.shape[-1] if values.ndim else 0
    if size < 1 or size & (size - 1):
        raise StructuredLayersError(
            f"the last dimension must be a power of two, got shape {tuple(values.shape)}; "
            f"pad it with zeros"
        )
    if not values.is_contiguous() or not values.is_floating_point():
        raise StructuredLayersError(
            f"values must be contiguous floating-point numbers, got {values.dtype} with strides "
            f"{values.stride()}"
        )
    half = 1
    while half < size:
        # (a, b) → (a + b, a − b) for all pairs that are `half` apart
        pairs = values.view(-1, size // (2 * half), 2, half)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        difference = first - second
        first += second
        second.copy_(difference)
        half *= 2
    return values.mul_(size**-0.5)


def walsh_signs(num_rows: int, dtype: torch.dtype) -> Tensor:
    """Return H, the ±1 Hadamard matrix of ``num_rows`` (a power of two) rows, in Sylvester's order.

    Returns:
        (num_rows, num_rows)
    """
    signs = torch.ones(1, 1, dtype=dtype)
    while len(signs) < num_rows:
        top = torch.cat([signs, signs], dim=1)
        signs = torch.cat([top, torch.cat([signs, -signs], dim=1)])
    return signs
