"""Cyclic convolutions of many rows with one kernel, with little memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Numbers in one block of transforms: larger arrays fall out of the processor's cache, and still
# larger ones come from the operating system anew at each call.
BLOCK = 2**19


def rows_per_block(row_size: int) -> int:
    """Return how many rows are transformed at a time if a row holds ``row_size`` numbers."""
    return max(1, BLOCK // row_size)


def by_blocks(product: Callable[[Tensor], Tensor], input: Tensor, row_size: int) -> Tensor:
    """Apply a product to a few rows of an input at a time.

    Args:
        product: maps (rows, in) to (rows, out).
        input: (*, in).
        row_size: how many numbers the transforms of a row hold.

    Returns:
        (*, out).
    """
    num_rows, at_once = input.numel() // input.shape[-1], rows_per_block(row_size)
    if num_rows <= at_once:
        return product(input)
    blocks = torch.split(input.reshape(num_rows, -1), at_once)
    joined = torch.cat([product(block) for block in blocks])
    return joined.reshape(*input.shape[:-1], joined.shape[-1])


def convolve(kernel: Tensor, input: Tensor, length: int, start: int, size: int) -> Tensor:
    """Return ``size`` places, from ``start`` on, of the cyclic convolution of a kernel with rows.

    The backward pass transforms the input again: kept for it are kernel and input alone, while the
    derivatives of ``torch.fft`` would keep two and a half times as much.

    Args:
        kernel: (k,), k ≤ length.
        input: (*, in), in ≤ length.
        length: the period.
        start: the first place that is returned.
        size: how many places are returned.

    Returns:
        (*, size), possibly a view.
    """
    if torch.is_grad_enabled() and (kernel.requires_grad or input.requires_grad):
        return _apply(kernel, input, length, start, size)
    return _forward(kernel, input, length, start, size)


def _forward(kernel: Tensor, input: Tensor, length: int, start: int, size: int) -> Tensor:
    transformed = torch.fft.rfft(kernel, length)

    def product(rows: Tensor) -> Tensor:
        spectrum = transformed * torch.fft.rfft(rows, length)
        return torch.narrow(torch.fft.irfft(spectrum, length), -1, start, size)

    return by_blocks(product, input, length)


class _Convolution(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: Tensor, input: Tensor, length: int, start: int, size: int) -> Tensor:
        # Contiguous, because a view as output has no forward derivative.
        return _forward(kernel, input, length, start, size).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        kernel, input, *ctx.geometry = inputs
        ctx.save_for_backward(kernel, input)
        ctx.save_for_forward(kernel, input)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        kernel, input = ctx.saved_tensors
        length, start, _ = ctx.geometry
        of_kernel, of_input = ctx.needs_input_grad[:2]
        rows = F.pad(gradient, (start, 0)) if start else gradient
        return (
            _kernel_gradient(input, rows, length, len(kernel)) if of_kernel else None,
            _input_gradient(kernel, rows, length, input.shape[-1]) if of_input else None,
            *[None] * 3,
        )

    @staticmethod
    def jvp(ctx: Any, kernel_tangent: Tensor, input_tangent: Tensor, *_: None) -> Tensor:
        kernel, input = ctx.saved_tensors
        first = _forward(kernel_tangent, input, *ctx.geometry)
        return first + _forward(kernel, input_tangent, *ctx.geometry)


def _input_gradient(kernel: Tensor, gradient: Tensor, length: int, size: int) -> Tensor:
    transformed = torch.fft.rfft(kernel, length).conj().resolve_conj()

    def product(rows: Tensor) -> Tensor:
        spectrum = transformed * torch.fft.rfft(rows, length)
        return torch.narrow(torch.fft.irfft(spectrum, length), -1, 0, size)

    return by_blocks(product, gradient, length)


def _kernel_gradient(input: Tensor, gradient: Tensor, length: int, size: int) -> Tensor:
    at_once = rows_per_block(length)
    blocks = zip(
        torch.split(input.reshape(-1, input.shape[-1]), at_once),
        torch.split(gradient.reshape(-1, gradient.shape[-1]), at_once),
        strict=True,
    )
    products = [
        (torch.fft.rfft(x, length).conj() * torch.fft.rfft(g, length)).sum(0) for x, g in blocks
    ]
    spectrum = torch.stack(products).sum(0)
    return torch.narrow(torch.fft.irfft(spectrum, length), -1, 0, size)


_apply: Callable[..., Tensor] = _Convolution.apply
