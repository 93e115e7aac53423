"""Chromatic layers that share one palette in the place of dense ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, Palette, StructuredLinear
from ..layers.base import as_integer
from ..layers.clustering import kmeans
from ..layers.nearest import nearest_index
from .single import build_one, fresh, match_spread_, naming, spread

Linears = Mapping[str, nn.Linear]
Built = dict[str, StructuredLinear]


def build_chromatic(
    linears: Linears,
    project: bool,
    *,
    num_colors: int | None = None,
    palette: Palette | int | None = None,
    share_palette: bool = True,
    learn_colors: bool = False,
) -> Built:
    """Build the chromatic layers of all targets, with one palette and a scale for each layer.

    Args:
        linears: the dense layers by name.
        project: whether the palette is fitted to the weights, or drawn.
        num_colors: how many colours the new palette has.
        palette: another name for that number, or a palette that stays as it is.
        share_palette: False gives every layer a palette of its own and no scale.
        learn_colors: whether gradients learn the colouring.

    Raises:
        StructuredLayersError: if the palette is missing, double, or cannot serve all targets.
    """
    choice = _one_palette(num_colors, palette, share_palette)
    learning: dict[str, Any] = {"learn_colors": True} if learn_colors else {}
    if isinstance(choice, Palette) or not share_palette:
        return {
            name: _build_with(choice, name, linear, project, learning)
            for name, linear in linears.items()
        }
    build = _project if project else _match
    return build(linears, _new_palette(choice, linears), learning)


def _project(linears: Linears, palette: Palette, learning: dict[str, Any]) -> Built:
    """Fit the palette to all targets at once, then colours and scales to the palette."""
    scales = {name: spread(linear.weight) for name, linear in linears.items()}
    centers = palette.values.detach().cpu()
    if any(scales.values()):
        centers = _joint_centers(linears, scales, palette.num_colors)
        with torch.no_grad():
            palette.values.copy_(centers)
    palette.keep()
    built: Built = {}
    for name, linear in linears.items():
        if learning:
            keywords = {"palette": palette, **learning}
            built[name] = build_one(ChromaticLinear, name, linear, True, keywords)
        else:
            built[name] = _nearest_layer(linear, palette, centers, scales[name])
    return built


def _match(linears: Linears, palette: Palette, learning: dict[str, Any]) -> Built:
    """Let all targets join a fresh palette; each one rescales it, so their scales come last."""
    structure = {"palette": palette, **(learning or {"scale": 1.0})}
    made = {name: fresh(ChromaticLinear, linear, structure) for name, linear in linears.items()}
    for name, layer in made.items():
        with naming(name):
            match_spread_(layer, linears[name])
    return made


def _one_palette(
    num_colors: int | None, palette: Palette | int | None, share_palette: bool
) -> Palette | int:
    given = [choice for choice in (num_colors, palette) if choice is not None]
    is_given_palette = len(given) == 1 and isinstance(given[0], Palette)
    number = as_integer(given[0]) if len(given) == 1 else None
    if len(given) == 1 and not is_given_palette and number is None:
        needed = "palette must be a Palette or" if num_colors is None else "num_colors must be"
        raise StructuredLayersError(f"{needed} an integer, got {given[0]!r}")
    if not is_given_palette and number is None:
        raise StructuredLayersError(
            "a chromatic conversion needs either num_colors or palette (a Palette or a number of "
            f"colours), got num_colors={num_colors!r} and palette={palette!r}"
        )
    if is_given_palette and not share_palette:
        raise StructuredLayersError(
            "share_palette=False gives every layer a palette of its own, got a Palette as well; "
            "pass num_colors instead"
        )
    return given[0] if number is None else number


def _build_with(
    choice: Palette | int, name: str, linear: nn.Linear, project: bool, learning: dict[str, Any]
) -> StructuredLinear:
    """Build one layer with a palette of its own, or a given one that stays as it is."""
    has_scale = isinstance(choice, Palette) and not project and not learning
    scale = {"scale": 1.0} if has_scale else {}
    keywords = {"palette": choice, **learning, **scale}
    return build_one(ChromaticLinear, name, linear, project, keywords)


def _new_palette(num_colors: int, linears: Linears) -> Palette:
    """Return a palette for all targets, which have to agree on device and dtype."""
    num_edges = sum(linear.weight.numel() for linear in linears.values())
    if not 1 <= num_colors <= num_edges:
        raise StructuredLayersError(
            f"num_colors must be between 1 and {num_edges}, the number of weights of all targets, "
            f"got {num_colors}; leave the layers dense for unshared weights"
        )
    kinds = {(linear.weight.dtype, linear.weight.device) for linear in linears.values()}
    if len(kinds) > 1:
        found = "; ".join(
            f"{name} is {linear.weight.dtype} on {linear.weight.device}"
            for name, linear in linears.items()
        )
        raise StructuredLayersError(
            f"one palette cannot serve several types or devices: {found}; convert them in separate "
            "calls or with share_palette=False"
        )
    dtype, device = next(iter(kinds))
    return Palette(num_colors, device=device, dtype=dtype)


def _joint_centers(linears: Linears, scales: Mapping[str, float], num_colors: int) -> Tensor:
    """Cluster the weights of all targets at once, each layer's scale divided out."""
    parts = []
    for name, linear in linears.items():
        with naming(name):
            weight = _host_weight(linear)
        if scales[name]:  # a layer of zeros is a scale of zero and takes no colour
            parts.append((weight / scales[name]).flatten())
    return kmeans(torch.cat(parts), num_colors).cpu()


def _host_weight(linear: nn.Linear) -> Tensor:
    weight = linear.weight.detach().cpu()
    if not bool(weight.isfinite().all()):
        raise StructuredLayersError(
            "projection needs finite weights, but those of the layer are NaN or infinite in "
            "places; initialise or load the layer first"
        )
    return weight if weight.dtype == torch.float64 else weight.float()


@torch.no_grad()
def _nearest_layer(
    linear: nn.Linear, palette: Palette, centers: Tensor, scale: float
) -> StructuredLinear:
    """Return the layer of the nearest colours, with the scale that is best for these."""
    if not scale:  # random colours, since nearest ones would be one colour for ever
        return fresh(ChromaticLinear, linear, {"palette": palette, "scale": 0.0})
    weight = _host_weight(linear)
    colors = nearest_index(weight / scale, centers)
    entries = centers.to(weight)[colors].flatten()
    norm = float(entries.dot(entries))
    best = float(entries.dot(weight.flatten())) / norm if norm else scale
    return fresh(ChromaticLinear, linear, {"palette": palette, "colors": colors, "scale": best})
