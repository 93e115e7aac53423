"""Colourings: from colours and values to a weight, and the checks of given ones."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .base import as_integer

COLOR_TYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def chromatic(values: Tensor, colors: Tensor) -> Tensor:
    """Return the matrix ``W[i, j] = values[colors[i, j]]``, with 0 where the colour is -1.

    Args:
        values: (*batch, num_colors).
        colors: (*batch, out, in) int64, or (out, in) for the whole batch.

    Returns:
        (*batch, out, in).

    Examples:
        >>> chromatic(torch.tensor([0.5, 2.0]), torch.tensor([[0, 1], [-1, 0]]))
        tensor([[0.5000, 2.0000],
                [0.0000, 0.5000]])
    """
    padded = F.pad(values, (0, 1))  # (*batch, num_colors + 1): colour -1 picks the last entry, 0
    if values.ndim == 1:
        return padded[colors]
    index = torch.where(colors < 0, values.shape[-1], colors).flatten(-2)  # gathers refuse -1
    if index.ndim == 1:
        entries = padded.index_select(-1, index)  # (*batch, out * in)
    else:
        entries = padded.gather(-1, index.expand(*padded.shape[:-1], -1))
    return entries.reshape(*entries.shape[:-1], *colors.shape[-2:])


def check_num_colors(num_colors: int, shape: tuple[int, int]) -> int:
    """Return the number of colours of a private palette if it suits a weight of ``shape``."""
    count = as_integer(num_colors)
    if count is None:
        raise StructuredLayersError(
            f"palette must be a Palette or an integer number of colours, got {num_colors!r}"
        )
    if not 1 <= count <= math.prod(shape):
        raise StructuredLayersError(
            f"num_colors must be between 1 and {math.prod(shape)} (= in_features × out_features), "
            f"got {count}; use nn.Linear for an unshared layer"
        )
    return count


def check_colors(colors: Tensor, num_colors: int, shape: tuple[int, int]) -> Tensor:
    """Return ``colors`` if they colour a weight of ``shape`` with ``num_colors`` colours."""
    if not isinstance(colors, Tensor):
        raise StructuredLayersError(
            f"colors must be an integer tensor of shape {shape}, got a {type(colors).__name__}"
        )
    if colors.shape != shape or colors.dtype not in COLOR_TYPES:
        raise StructuredLayersError(
            f"colors must be an integer tensor of shape {shape} (= out_features, in_features), of "
            f"uint8 or a signed type, got {colors.dtype} of shape {tuple(colors.shape)}"
        )
    low, high = (-1, 0) if colors.is_meta else (int(colors.min()), int(colors.max()))
    if low < -1 or high >= num_colors:
        raise StructuredLayersError(
            f"colors must lie between -1 (a removed edge) and {num_colors - 1}, got {low} to {high}"
        )
    return colors
