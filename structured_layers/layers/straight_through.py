"""Colours and masks that gradients can learn.

The discrete choice is made anew from dense, trained values at every use. Its derivative is zero
almost everywhere, so the gradient of the weight is passed straight through to the dense values, as
if the choice had not been made.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .coloring import chromatic
from .fused_choice import is_plain_call, show_colors, show_edges


def straight_through(shown: Tensor, shadow: Tensor) -> Tensor:
    """Return ``shown``, and send its gradient to ``shadow`` as well.

    Args:
        shown: what the forward pass uses.
        shadow: finite values of the same shape.

    Examples:
        >>> shadow = torch.tensor([0.2, 0.9], requires_grad=True)
        >>> straight_through(shadow.detach().round(), shadow).sum().backward()
        >>> shadow.grad
        tensor([1., 1.])
    """
    return shown + (shadow - shadow.detach())  # adds an exact zero


def scaled_gradient(values: Tensor, factor: float) -> Tensor:
    """Return ``values`` unchanged, and multiply their gradient by ``factor``.

    Args:
        values: finite values of any shape.
        factor: what the gradient is multiplied by.
    """
    frozen = values.detach()
    return frozen + factor * (values - frozen)  # adds an exact zero


def nearest_colors(weight: Tensor, centers: Tensor) -> Tensor:
    """Return for every entry of a weight the position of the nearest center.

    Args:
        weight: (*batch, out, in).
        centers: (*batch, num_colors) in any order.

    Returns:
        (*batch, out, in) int64.

    Examples:
        >>> nearest_colors(torch.tensor([[0.2, 0.9]]), torch.tensor([1.0, 0.0]))
        tensor([[1, 0]])
    """
    ordered, order = centers.detach().sort(dim=-1, stable=True)
    middles = (ordered[..., 1:] + ordered[..., :-1]) / 2  # (*batch, num_colors - 1)
    entries = weight.detach().flatten(-2)  # (*batch, out * in)
    ranks = torch.searchsorted(middles.contiguous(), entries.contiguous())
    return order.gather(-1, ranks).view(weight.shape)


def palette_units(shadow: Tensor) -> Tensor:
    r"""Return :math:`\sqrt{n} V`, a shadow of n inputs in the units of its palette.

    A shadow is of the size of a default ``nn.Linear`` weight whatever the gain of its layer, so
    that one learning rate moves the colours of all layers at the same pace.

    Args:
        shadow: V, (*batch, out, in).
    """
    return math.sqrt(shadow.shape[-1]) * shadow


def learned_chromatic(shadow: Tensor, values: Tensor, scale: Tensor) -> Tensor:
    r"""Show each entry of a shadow as the nearest colour of a palette, times a scale.

    .. math:: W_{ij} = s \cdot p_{c(i,j)}, \quad c(i,j) = \arg\min_k |\sqrt{n} V_{ij} - p_k|

    The gradient goes straight through to the shadow, as if W were :math:`s \sqrt{n} V`. The scale
    is no part of the choice: a layer of growing gain keeps its colours. Palette and scale collect
    the gradients of many entries; theirs are divided by the square root of the number of entries.

    Args:
        shadow: V, (*batch, out, n).
        values: p, (*batch, num_colors).
        scale: s, (*batch).

    Returns:
        (*batch, out, n).

    Reference:
        Esser et al., Learned Step Size Quantization, ICLR 2020, section 2.2, for the factor.
    """
    if is_plain_call(shadow):
        return show_colors(shadow, values, scale)
    entries = palette_units(shadow)
    colors = nearest_colors(entries, values)
    factor = 1 / math.sqrt(shadow.shape[-2] * shadow.shape[-1])
    palette, gain = scaled_gradient(values, factor), scaled_gradient(scale, factor)
    shown = gain[..., None, None] * chromatic(palette, colors)
    return straight_through(shown, scale.detach()[..., None, None] * entries)


def quantile_palette(weight: Tensor, num_colors: int) -> Tensor:
    """Return equally spaced quantiles of a weight, divided by their root mean square.

    Args:
        weight: of any shape, at least one entry.
        num_colors: the number of quantiles.

    Returns:
        (num_colors,) in ascending order; of the weight's type and device.

    Examples:
        >>> quantile_palette(torch.tensor([-3.0, -1.0, 1.0, 3.0]), 2)
        tensor([-0.4472,  1.3416])
    """
    ordered = weight.detach().flatten().sort().values
    middles = torch.arange(num_colors, device=weight.device) * 2 + 1  # in half quantiles
    quantiles = ordered[middles * len(ordered) // (2 * num_colors)]
    return quantiles / root_mean_square(quantiles)


def root_mean_square(values: Tensor) -> Tensor:
    """Return the root mean square of all entries as a scalar that can divide: 1 if all are 0."""
    size = values.detach().square().mean().sqrt()
    return torch.where(size > 0, size, 1.0)


def largest_edges(values: Tensor, num_edges: int) -> Tensor:
    """Return the mask of the entries of largest absolute value.

    Args:
        values: (*batch, out, in).
        num_edges: how many entries are True.

    Returns:
        (*batch, out, in) bool.

    Examples:
        >>> largest_edges(torch.tensor([[1.0, -3.0], [2.0, 0.5]]), 2)
        tensor([[False,  True],
                [ True, False]])
    """
    sizes = values.detach().abs().flatten(-2)
    chosen = sizes.topk(num_edges, dim=-1, sorted=False).indices  # (*batch, num_edges)
    # Ones of the values' type: torch.jit.trace and the older ONNX exporter scatter no bools.
    marks = torch.zeros_like(sizes).scatter(-1, chosen, 1.0)
    return (marks > 0).view(values.shape)


def learned_masked(values: Tensor, num_edges: int) -> Tensor:
    """Keep the entries of largest absolute value; gradients go to all entries.

    Args:
        values: (*batch, out, in).
        num_edges: how many entries are kept.

    Returns:
        (*batch, out, in), 0 where an entry is not kept.
    """
    if is_plain_call(values):
        return show_edges(values, num_edges)
    kept = torch.where(largest_edges(values, num_edges), values.detach(), 0.0)
    return straight_through(kept, values)
