"""The colours, palette and scale that are nearest to a dense weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

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
    palette = _one_palette(palette, num_colors, colors)
    if learn_colors:
        return _learning_start(weight, palette, colors)
    shape = (weight.shape[0], weight.shape[1])
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


def _learning_start(weight: Tensor, palette: Palette | int, colors: Tensor | None) -> Fit:
    structure = {"palette": palette, "colors": colors, "learn_colors": True}
    if isinstance(palette, Palette):
        _, scale = _fit_to_palette(weight, palette, None)
        return structure, {"shadow": weight, "scale": scale}
    centers = kmeans(weight, check_num_colors(palette, (weight.shape[0], weight.shape[1])))
    scale = root_mean_square(centers)
    return structure, {"shadow": weight, "scale": scale, "values": centers / scale}


def _fit_to_palette(
    weight: Tensor, palette: Palette, colors: Tensor | None
) -> tuple[Tensor, Tensor]:
    palette.keep()
    return fit_scale(weight, palette.values.detach().to("cpu", torch.float64), colors)


def _one_palette(
    palette: Palette | int | None, num_colors: int | None, colors: Tensor | None
) -> Palette | int:
    given = [choice for choice in (palette, num_colors) if choice is not None]
    if len(given) == 1:
        return given[0]
    if not given and isinstance(colors, Tensor) and colors.numel():
        return max(1, int(colors.max()) + 1)
    raise StructuredLayersError(
        "from_linear needs either palette (a Palette or a number of colours) or num_colors, "
        f"got palette={palette!r} and num_colors={num_colors!r}"
    )
