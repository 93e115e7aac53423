"""Products of structured matrices with vectors by fast Fourier transforms.

Each product costs O(L log L) for a length L of about twice the larger size, where the dense matrix
costs O(out · in); its rounding error is no larger. Real single and double precision only.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution import by_blocks, convolve


@cache
def smooth_length(length: int) -> int:
    """Return the smallest 2^a · 3^b · 5^c that is at least ``length``: a fast size for an FFT.

    Examples:
        >>> smooth_length(81), smooth_length(97), smooth_length(8191)
        (81, 100, 8192)
    """
    best = 1 << max(0, length - 1).bit_length()
    power_of_5 = 1
    while power_of_5 < best:
        odd = power_of_5
        while odd < best:
            missing = -(-length // odd)
            best = min(best, odd << max(0, missing - 1).bit_length())
            odd *= 3
        power_of_5 *= 5
    return best


def toeplitz_length(out_features: int, in_features: int) -> int:
    """Return the length of the transforms in :func:`toeplitz_product`."""
    return smooth_length(out_features + in_features - 1)


def toeplitz_product(values: Tensor, input: Tensor, out_features: int) -> Tensor:
    """Return ``y[i] = Σ_j t[i - j] x[j]``, a piece of the convolution of diagonals and input.

    Args:
        values: (out + in - 1,), the diagonals as in :func:`~structured_layers.layers.toeplitz`.
        input: (*, in).
        out_features: number of rows.

    Returns:
        (*, out).

    Examples:
        >>> toeplitz_product(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 0.0, 1.0]), 2)
        tensor([1., 2.])
    """
    in_features = input.shape[-1]
    length = toeplitz_length(out_features, in_features)
    # What wraps around falls on the places before in - 1.
    return convolve(values, input, length, in_features - 1, out_features)


def hankel_product(values: Tensor, input: Tensor, out_features: int) -> Tensor:
    """Return ``y[i] = Σ_j t[i + j] x[j]``: the Toeplitz product with the input reversed.

    Args:
        values: (out + in - 1,), the anti-diagonals from the upper left corner on.
        input: (*, in).
        out_features: number of rows.

    Returns:
        (*, out).
    """
    return toeplitz_product(values, input.flip(-1), out_features)


def circulant_length(out_features: int, in_features: int) -> int:
    """Return the length of the transforms in :func:`circulant_product`."""
    size = max(out_features, in_features)
    is_smooth = smooth_length(size) == size
    return size if is_smooth else toeplitz_length(out_features, in_features)


def circulant_product(values: Tensor, input: Tensor, out_features: int) -> Tensor:
    """Return ``y[i] = Σ_j c[(i - j) mod k] x[j]``, ``k = max(out, in)``: a cyclic convolution.

    Args:
        values: (k,), the first column of the uncut circulant.
        input: (*, in).
        out_features: number of rows.

    Returns:
        (*, out).
    """
    size, in_features = values.shape[-1], input.shape[-1]
    if circulant_length(out_features, in_features) != size:
        start = size - (in_features - 1)
        diagonals = torch.cat([values[..., start:], values[..., :out_features]], dim=-1)
        return toeplitz_product(diagonals, input, out_features)
    return convolve(values, input, size, 0, out_features)


def toeplitz_like_lengths(out_features: int, in_features: int) -> tuple[int, int]:
    """Return the lengths of the two rounds of transforms in :func:`toeplitz_like_product`."""
    is_smooth = smooth_length(out_features) == out_features
    padded = toeplitz_length(out_features, min(out_features, in_features))
    return smooth_length(2 * in_features - 1), out_features if is_smooth else padded


def toeplitz_like_product(left: Tensor, right: Tensor, input: Tensor) -> Tensor:
    """Return ``W x`` for the Toeplitz-like W of the generators, without building it.

    With ``u_k[d] = Σ_c h_k[c + d] x[c]``, each output is
    ``y[i] = Σ_k Σ_d g_k[(i + 1 + d) mod out] u_k[d]``: an acyclic convolution with the reversed
    ``h_k``, then a cyclic one with ``g_k``.

    Args:
        left: (rank, out), the generators g.
        right: (rank, in), the generators h.
        input: (*, in).

    Returns:
        (*, out), possibly a view.
    """
    lengths = toeplitz_like_lengths(left.shape[-1], right.shape[-1])
    kernel = torch.fft.rfft(right.flip(-1), lengths[0])

    def product(rows: Tensor) -> Tensor:
        # u backwards: place p holds d = in - 1 - p.
        spectrum = kernel * torch.fft.rfft(rows, lengths[0]).unsqueeze(-2)
        reversed_u = torch.fft.irfft(spectrum, lengths[0]).narrow(-1, 0, right.shape[-1])
        return _cyclic_sum(left, reversed_u, lengths[1])

    return by_blocks(product, input, left.shape[-2] * max(lengths))


def _cyclic_sum(left: Tensor, reversed_u: Tensor, length: int) -> Tensor:
    """Return ``y[i] = Σ_k Σ_p g_k[(i + in - p) mod out] u_k[p]``.

    Args:
        left: (rank, out), the g.
        reversed_u: (*, rank, in), the u.
        length: ``out``, or enough for a convolution that does not wrap.
    """
    out_features, in_features = left.shape[-1], reversed_u.shape[-1]
    if in_features > out_features:  # g is cyclic, so places that differ by out count together
        blocks = F.pad(reversed_u, (0, -in_features % out_features))
        reversed_u = blocks.reshape(*blocks.shape[:-1], -1, out_features).sum(-2)
    kernel = left.roll(-in_features, -1)
    start = 0
    if length != out_features:  # not cyclic: put in front what the wrap would reach
        start = reversed_u.shape[-1] - 1
        kernel = torch.cat([kernel[..., out_features - start :], kernel], dim=-1)
    spectrum = torch.fft.rfft(kernel, length) * torch.fft.rfft(reversed_u, length)
    return torch.narrow(torch.fft.irfft(spectrum.sum(-2), length), -1, start, out_features)
