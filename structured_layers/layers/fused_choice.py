"""Learned colours and masks of one layer in few operations, for plain calls on plain tensors.

:mod:`~structured_layers.layers.straight_through` states the same in operations that every
transform of PyTorch knows; those of a small layer take longer than its product. What is written
here has the same values, bit for bit, and the same gradients up to rounding, of any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.utils.weak import WeakTensorKeyDictionary

MOST_KEPT = 1 << 16  # entries: beyond the size of a policy memory counts for more than time
KEPT = "_structured_layers_kept"
_last_shown = WeakTensorKeyDictionary()


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
    return _shown_again(_nearest_weight, shadow, values, scale)


def show_edges(values: Tensor, num_edges: int) -> Tensor:
    """Return what ``learned_masked`` returns, for a tensor without batch dimensions."""
    if torch.is_grad_enabled():
        return _ShownEdges.apply(values, num_edges)  # type: ignore[no-any-return, no-untyped-call]
    return _shown_again(partial(_largest_entries, num_edges=num_edges), values, count=num_edges)


def is_kept(weight: Tensor) -> bool:
    """Tell whether a weight may be shown again, so that nobody else should write to it."""
    return hasattr(weight, KEPT)


def _shown_again(show: Callable[..., Tensor], *made_of: Tensor, count: int = 0) -> Tensor:
    """Show a weight, or the last one again if all that it was made of has the same values.

    Between two updates a policy acts thousands of times. Values are compared, since ``.data`` and
    ``load_state_dict`` write without a trace, so the last weight cannot be out of date; nor may
    somebody have written to it.
    """
    dense = made_of[0]
    if dense.numel() > MOST_KEPT or dense.device.type != "cpu" or torch.is_inference_mode_enabled():
        return show(*made_of)
    last: _Shown | None = _last_shown.get(dense)  # type: ignore[no-untyped-call]
    if last is not None and last.is_of(made_of, count):
        return last.weight
    weight = show(*made_of)
    setattr(weight, KEPT, True)
    _last_shown[dense] = _Shown(weight, [tensor.detach().clone() for tensor in made_of], count)
    return weight


class _Shown:
    """A weight with copies of what it was made of."""

    def __init__(self, weight: Tensor, made_of: list[Tensor], count: int) -> None:
        self.weight, self._version = weight, weight._version
        self._made_of, self._count = made_of, count

    def is_of(self, tensors: tuple[Tensor, ...], count: int) -> bool:
        for mine, present in zip(self._made_of, tensors, strict=True):
            if mine.dtype != present.dtype or not torch.equal(mine, present):
                return False
        return self._count == count and self.weight._version == self._version


def _nearest_weight(shadow: Tensor, values: Tensor, scale: Tensor) -> Tensor:
    return _nearest_entries(shadow, values, scale)[0]


def _nearest_entries(
    shadow: Tensor, values: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weight, the order of the palette, and each entry's place in that order."""
    ordered, order = values.sort(stable=True)
    middles = (ordered[1:] + ordered[:-1]) / 2
    ranks = torch.searchsorted(middles, math.sqrt(shadow.shape[-1]) * shadow).view(-1)
    return (scale * ordered).index_select(0, ranks).view(shadow.shape), order, ranks


def _largest_entries(values: Tensor, num_edges: int) -> Tensor:
    flat = values.reshape(-1)
    kept = flat.abs().topk(num_edges, sorted=False).indices
    return torch.zeros_like(flat).index_copy_(0, kept, flat.index_select(0, kept)).view_as(values)


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
