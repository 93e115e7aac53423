"""The colours, palette and scale that are nearest to a dense weight."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .base import check_flag
from .clustering import kmeans
from .coloring import check_colors, check_num_colors
from .nearest import fit_scale, group_means, nearest_index
from .palette import Palette
from .straight_through import root_mean_square

Fit = tuple[dict[str, Any], dict[str, Tensor]]


def fit_chromatic(
    weight: Tensor,
    palette: Palette | int | None = None,
    num_colors: int | None = None,
    colors: Tensor | None = None,
    learn_colors: bool = False,
) -> Fit:
    """Return the structure and the parameters of the chromatic layer nearest to a weight.

    Args:
        weight: (out, in) float64 on the CPU.
        palette: a palette that stays as it is, or the number of colours of a new one.
        num_colors: another name for that number.
        colors: (out, in) integers that fix the colouring.
        learn_colors: whether the weight is only where learning starts.

    Raises:
        StructuredLayersError: if the number of colours is missing, double or wrong.
    """
    shape = (weight.shape[0], weight.shape[1])
    palette = _one_palette(palette, num_colors, colors, shape)
    if check_flag("learn_colors", learn_colors):
        return _learning_start(weight, palette, colors)
    if colors is None and not bool(weight.any()):
        return _zero_start(palette, shape)
    if isinstance(palette, Palette):
        if colors is not None:
            colors = check_colors(colors, palette.num_colors, shape).cpu()
        colors, scale = _fit_to_palette(weight, palette, colors)
        return {"palette": palette, "colors": colors, "scale": float(scale)}, {}
    palette = check_num_colors(palette, shape)
    if colors is None:
        colors = nearest_index(weight, kmeans(weight, palette))
    colors = check_colors(colors, palette, shape).cpu()
    values = group_means(weight, colors, palette)
    return {"palette": palette, "colors": colors}, {"values": values}


def _zero_start(palette: Palette | int, shape: tuple[int, int]) -> Fit:
    """Return a zero weight of random colours; nearest ones would be one colour for ever."""
    if isinstance(palette, Palette):
        palette.keep()
        return {"palette": palette, "scale": 0.0}, {}
    palette = check_num_colors(palette, shape)
    return {"palette": palette}, {"values": torch.zeros(palette, dtype=torch.float64)}


def _learning_start(weight: Tensor, palette: Palette | int, colors: Tensor | None) -> Fit:
    structure = {"palette": palette, "colors": colors, "learn_colors": True}
    parameters: dict[str, Tensor] = {}
    if isinstance(palette, Palette):
        _, scale = _fit_to_palette(weight, palette, None)
    else:
        centers = kmeans(weight, check_num_colors(palette, (weight.shape[0], weight.shape[1])))
        scale = root_mean_square(centers)
        parameters["values"] = centers / scale
    parameters["scale"] = scale
    if bool(scale):  # a weight of zeros keeps the shadow that is drawn: its colours can be learned
        parameters["shadow"] = weight / (scale * math.sqrt(weight.shape[1]))
    return structure, parameters


def _fit_to_palette(
    weight: Tensor, palette: Palette, colors: Tensor | None
) -> tuple[Tensor, Tensor]:
    palette.keep()
    return fit_scale(weight, palette.values.detach().to("cpu", torch.float64), colors)


def _one_palette(
    palette: Palette | int | None,
    num_colors: int | None,
    colors: Tensor | None,
    shape: tuple[int, int],
) -> Palette | int:
    given = [choice for choice in (palette, num_colors) if choice is not None]
    if isinstance(colors, Tensor) and colors.is_meta:
        raise StructuredLayersError("from_linear needs the colors, got some on the meta device")
    if len(given) == 1:
        return given[0]
    if not given and colors is not None:
        return max(1, int(check_colors(colors, math.prod(shape), shape).max()) + 1)
    raise StructuredLayersError(
        "from_linear needs either palette (a Palette or a number of colours) or num_colors, "
        f"got palette={palette!r} and num_colors={num_colors!r}"
    )
