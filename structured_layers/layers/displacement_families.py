"""Matrices of low displacement rank as functions of their generators.

The displacement of a matrix W under two fixed sparse matrices A and B is ``A W - W B``. Where that
has rank r, W is determined by generators G (r × out) and H (r × in) with ``A W - W B = Gᵀ H``. Z_f
shifts down by one place and has f in its upper right corner:

=============  ==================  =================
family         A                   B
=============  ==================  =================
toeplitz       Z_1                 Z_0
hankel         Z_1                 Z_0 transposed
vandermonde    diag(row nodes)     Z_0
cauchy         diag(row nodes)     diag(column nodes)
=============  ==================  =================

All functions take leading batch dimensions; a matrix has the same bits in whatever batch it is
built, which is why the ranks are summed one by one and not by a matrix product.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .fft_products import toeplitz_like_product
from .windows import windows

FAMILIES = ("toeplitz", "hankel", "toeplitz_hankel", "vandermonde", "cauchy")
FFT_FAMILIES = FAMILIES[:3]


def toeplitz_like(left: Tensor, right: Tensor) -> Tensor:
    """Return ``W[i, c] = Σ_k Σ_d g_k[(i + 1 + d) mod out] h_k[c + d]``.

    Args:
        left: (*batch, rank, out), the generators g.
        right: (*batch, rank, in), the generators h.

    Returns:
        (*batch, out, in), with Z_1 W - W Z_0 = leftᵀ right.

    Examples:
        >>> toeplitz_like(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
        tensor([[1., 0., 0.],
                [0., 1., 0.],
                [0., 0., 1.]])
    """
    out_features, in_features = left.shape[-1], right.shape[-1]
    rows = torch.arange(out_features, device=left.device)
    columns = torch.arange(in_features, device=left.device)
    cyclic = torch.arange(out_features + in_features - 1, device=left.device) % out_features
    # With a = i - c + 1 and l = c + d: W[i, c] = Σ_{l ≥ c} Σ_k g_k[(a + l) mod out] h_k[l].
    shifted = windows(left.index_select(-1, cyclic), out_features, in_features)
    products = _sum_over_rank(shifted, right.unsqueeze(-2))  # (*batch, a, l)
    tails = products.flip(-1).cumsum(-1)  # column in - 1 - c holds the sum over l ≥ c
    source_rows = (rows[:, None] - columns + 1) % out_features
    source = source_rows * in_features + (in_features - 1 - columns)
    weight = tails.flatten(-2).index_select(-1, source.flatten())
    return weight.reshape(*weight.shape[:-1], out_features, in_features)


def hankel_like(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix W with Z_1 W - W Z_0ᵀ = leftᵀ right: a Toeplitz-like one, mirrored.

    Args:
        left: (*batch, rank, out).
        right: (*batch, rank, in).

    Returns:
        (*batch, out, in).
    """
    return toeplitz_like(left, right.flip(-1)).flip(-1)


def vandermonde_like(left: Tensor, right: Tensor, row_nodes: Tensor) -> Tensor:
    """Return ``W[i, c] = Σ_k g_k[i] v_i^c Σ_{t < in - c} v_i^t h_k[t]``.

    That is ``Σ_k diag(g_k) V L(h_k)``, with the Vandermonde matrix V of the nodes v and the
    lower triangular Toeplitz matrix L(h) with first column h.

    Args:
        left: (*batch, rank, out).
        right: (*batch, rank, in).
        row_nodes: (out,), the nodes v.

    Returns:
        (*batch, out, in), with diag(v) W - W Z_0 of the rank of the generators.
    """
    exponents = torch.arange(right.shape[-1], device=left.device)
    powers = row_nodes.unsqueeze(-1) ** exponents  # (out, in)
    products = _sum_over_rank(left.unsqueeze(-1), right.unsqueeze(-2))
    return powers * (powers * products).cumsum(-1).flip(-1)


def cauchy_like(left: Tensor, right: Tensor, row_nodes: Tensor, column_nodes: Tensor) -> Tensor:
    """Return ``W[i, j] = Σ_k g_k[i] h_k[j] / (s_i - t_j)``.

    Args:
        left: (*batch, rank, out).
        right: (*batch, rank, in).
        row_nodes: (out,), the nodes s.
        column_nodes: (in,), the nodes t, none of them among s.

    Returns:
        (*batch, out, in), with diag(s) W - W diag(t) = leftᵀ right.
    """
    distances = (row_nodes.unsqueeze(-1) - column_nodes.unsqueeze(-2)).to(left.dtype)
    return _sum_over_rank(left.unsqueeze(-1), right.unsqueeze(-2)) / distances


def _sum_over_rank(left: Tensor, right: Tensor) -> Tensor:
    """Sum the products of the matrices (*batch, rank, ·, ·) over the ranks."""
    total, *others = map(torch.mul, left.unbind(-3), right.unbind(-3))
    for product in others:
        total = total + product
    return total


def chebyshev_nodes(
    count: int, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return ``count`` Chebyshev nodes in (-1, 1), none of them 0.

    An odd number of nodes is taken from those of the next even order: the node 0 would cut an
    output off from all inputs but one.

    Args:
        count: how many.
        device: where they are computed.
        dtype: float32 or float64; in half precision many of them would fall together.

    Returns:
        (count,), descending.
    """
    order = count + count % 2
    places = torch.arange(count, dtype=dtype, device=device) + 0.5
    return torch.cos(math.pi * places / order)


def interlaced_nodes(
    out_features: int, in_features: int, *, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return even row nodes and odd column nodes, the fewer ones spread among the others.

    Integers, because they stay apart in every floating-point type.

    Args:
        out_features: number of row nodes.
        in_features: number of column nodes.
        device: where they are computed.

    Returns:
        (out,) and (in,), both int64 and ascending.

    Examples:
        >>> interlaced_nodes(4, 2)
        (tensor([0, 2, 4, 6]), tensor([1, 5]))
    """
    size = max(out_features, in_features)
    rows = torch.arange(out_features, device=device) * size // out_features
    columns = torch.arange(in_features, device=device) * size // in_features
    return 2 * rows, 2 * columns + 1


def low_displacement_rank(values: Tensor, out_features: int, family: str) -> Tensor:
    """Return the matrix of a family that has the generators ``values``.

    The nodes follow from the sizes and are computed anew, at least in single precision, so that
    they are the same whatever type the values have or had.

    Args:
        values: (*batch, rank, out + in), in each row a generator g of the outputs and one h of the
            inputs. For ``toeplitz_hankel`` the first half of the rows is the Toeplitz-like summand,
            the second the Hankel-like one.
        out_features: number of rows of the matrix.
        family: one of :data:`FAMILIES`.

    Returns:
        (*batch, out, in).
    """
    if values.dtype in (torch.float16, torch.bfloat16):  # long sums lose what these can hold
        exact = low_displacement_rank(values.float(), out_features, family)
        return exact.to(values.dtype)
    left, right = values[..., :out_features], values[..., out_features:]
    match family:
        case "toeplitz":
            return toeplitz_like(left, right)
        case "hankel":
            return hankel_like(left, right)
        case "toeplitz_hankel":
            first, second = values.chunk(2, dim=-2)
            return low_displacement_rank(first, out_features, "toeplitz") + low_displacement_rank(
                second, out_features, "hankel"
            )
        case "vandermonde":
            nodes = chebyshev_nodes(out_features, device=values.device, dtype=values.dtype)
            return vandermonde_like(left, right, nodes)
        case _:
            in_features = right.shape[-1]
            rows, columns = interlaced_nodes(out_features, in_features, device=values.device)
            return cauchy_like(left, right, rows, columns)


def low_displacement_rank_product(
    values: Tensor, input: Tensor, out_features: int, family: str
) -> Tensor:
    """Return the product of the matrix with inputs (*, in) by FFT, for the families that have one.

    Args:
        values: (rank, out + in), as for :func:`low_displacement_rank`.
        input: (*, in).
        out_features: number of rows of the matrix.
        family: ``toeplitz``, ``hankel`` or ``toeplitz_hankel``.

    Returns:
        (*, out).
    """
    if family == "toeplitz_hankel":
        first, second = values.chunk(2, dim=-2)
        return low_displacement_rank_product(
            first, input, out_features, "toeplitz"
        ) + low_displacement_rank_product(second, input, out_features, "hankel")
    left, right = values[..., :out_features], values[..., out_features:]
    if family == "hankel":
        right, input = right.flip(-1), input.flip(-1)
    return toeplitz_like_product(left, right, input)
