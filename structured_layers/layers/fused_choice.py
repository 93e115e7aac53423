"""Learned colours and masks of one layer in few operations, for plain calls on plain tensors.

:mod:`~structured_layers.layers.straight_through` states the same in operations that every
transform of PyTorch knows; those of a small layer take longer than its product. What is written
here has the same values, bit for bit, and the same gradients up to rounding, of any order.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad


def is_plain_call(tensor: Tensor) -> bool:
    """Tell whether one layer's tensor is used in eager mode without ``torch.func`` or tracing."""
    return (
        tensor.ndim == 2
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def show_colors(shadow: Tensor, values: Tensor, scale: Tensor) -> Tensor:
    """Return what ``learned_chromatic`` returns, for tensors without batch dimensions."""
    if torch.is_grad_enabled():
        return _ShownColors.apply(shadow, values, scale)  # type: ignore[no-any-return, no-untyped-call]
    return _nearest_entries(shadow, values, scale)[0]


def show_edges(values: Tensor, num_edges: int) -> Tensor:
    """Return what ``learned_masked`` returns, for a tensor without batch dimensions."""
    if torch.is_grad_enabled():
        return _ShownEdges.apply(values, num_edges)  # type: ignore[no-any-return, no-untyped-call]
    return _largest_entries(values, num_edges)


def _nearest_entries(
    shadow: Tensor, values: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weight, the order of the palette, and each entry's place in that order."""
    ordered, order = values.sort(stable=True)
    middles = (ordered[1:] + ordered[:-1]) / 2
    entries = (math.sqrt(shadow.shape[-1]) * shadow).contiguous()
    ranks = torch.searchsorted(middles, entries).view(-1)
    shown = (scale * ordered).index_select(0, ranks).view(shadow.shape)
    return _not_finite_shown(shown, shadow), order, ranks


def _largest_entries(values: Tensor, num_edges: int) -> Tensor:
    flat = values.reshape(-1)
    kept = flat.abs().topk(num_edges, sorted=False).indices
    shown = torch.zeros_like(flat).index_copy_(0, kept, flat.index_select(0, kept))
    return _not_finite_shown(shown.view_as(values), values)


def _not_finite_shown(shown: Tensor, dense: Tensor) -> Tensor:
    """Put NaN where a dense value is not finite, as ``straight_through`` does."""
    return shown.add_(dense, alpha=0)  # adds an exact zero elsewhere


class _ShownColors(Function):
    @staticmethod
    def forward(ctx: Any, shadow: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        weight, order, ranks = _nearest_entries(shadow, values, scale)
        ctx.save_for_backward(values, scale, order, ranks)
        return weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, scale, order, ranks = ctx.saved_tensors
        to_shadow = (scale.detach() * math.sqrt(gradient.shape[-1])) * gradient
        factor = 1 / math.sqrt(gradient.numel())
        if torch.is_grad_enabled():  # second derivatives pass the factor twice
            values, scale = _scaled_gradient(values, factor), _scaled_gradient(scale, factor)
        by_rank = gradient.new_zeros(len(values)).index_add(0, ranks, gradient.reshape(-1))
        by_color = factor * torch.zeros_like(by_rank).scatter(0, order, by_rank)
        return to_shadow, scale * by_color, by_color.dot(values)


class _ShownEdges(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, num_edges: int) -> Tensor:
        return _largest_entries(values, num_edges)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _scaled_gradient(values: Tensor, factor: float) -> Tensor:
    return values.detach() + factor * (values - values.detach())
