"""The weight matrices of a network, with edges that share a weight in one colour."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, MaskedLinear, StructuredLinear
from .figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Layer = nn.Linear | StructuredLinear

MAX_KEY = 100
"""The most shared weights that are listed; more are not readable."""


def plot_weights(network: nn.Module, path: Path, *, title: str = "") -> Path:
    """Draw every weight matrix, inputs across and outputs down.

    In a chromatic network each shared weight has a colour of its own, listed with its value if all
    layers share one palette of at most 100; in other networks the colour is the value. Edges that
    do not exist stay white.

    Args:
        network: its linear and structured layers are drawn in module order.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figure 2.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, StructuredLinear))]
    if not layers:
        raise StructuredLayersError(f"{type(network).__name__} has no linear layer to draw")
    chromatic = all(isinstance(layer, ChromaticLinear) for layer in layers)
    figure, axes = _new_axes(layers, len(_key_values(layers)) if chromatic else 0)
    figure.suptitle(title)
    draw = _draw_colors if chromatic else _draw_values
    draw(figure, axes, layers)
    for number, (ax, layer) in enumerate(zip(axes, layers, strict=True), start=1):
        ax.set(title=f"layer {number}", xlabel=_count(layer.in_features, "input"))
        ax.set_ylabel(_count(layer.out_features, "output"))
        ax.set_xticks(np.arange(0.5, layer.in_features - 1), minor=True)
        ax.set_yticks(np.arange(0.5, layer.out_features - 1), minor=True)
        ax.set(xticks=[], yticks=[])
        ax.grid(which="minor", color="white", linewidth=1)  # tells apart neighbours of one colour
        ax.tick_params(which="minor", length=0)
    return save_figure(figure, path)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _new_axes(layers: list[Layer], key_size: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with a place for every layer and for a key of that many entries."""
    widths = [max(layer.in_features, 6) for layer in layers]
    tallest = max(layer.out_features for layer in layers)
    cell = min(0.2, 24 / sum(widths), 16 / tallest)  # inches
    height = max(cell * tallest, 1.8) + 1.0
    key_width = 0.85 * _key_columns(key_size, height)
    figure = new_figure(max(cell * sum(widths), 1.8) + max(key_width, 1.0) + 1.5, height)
    return figure, list(figure.subplots(1, len(layers), squeeze=False, width_ratios=widths)[0])


def _key_values(layers: list[Any]) -> list[float]:
    """Return the shared weights to list: none if there are several palettes or too many colours."""
    values = layers[0].values
    shared = all(layer.values is values for layer in layers)
    return values.detach().tolist() if shared and values.numel() <= MAX_KEY else []


def _key_columns(key_size: int, height: float) -> int:
    """Return in how many columns a key fits beside a figure that is ``height`` inches high."""
    return math.ceil(key_size / max(int((height - 0.8) / 0.16), 1))


def _draw_colors(figure: Any, axes: list[Axes], layers: list[Any]) -> None:
    """Draw colours as colours, with a key of the values if the layers share one palette."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    num_colors = max(layer.values.numel() for layer in layers)
    swatches = _distinct_colors(num_colors)
    for ax, layer in zip(axes, layers, strict=True):
        colors = layer.colors.cpu().numpy()
        shown = np.ma.masked_less(colors, 0)
        ax.imshow(shown, cmap=ListedColormap(swatches), vmin=-0.5, vmax=num_colors - 0.5)
    used = set(np.concatenate([layer.colors.cpu().numpy().flatten() for layer in layers]).tolist())
    patches = [
        Patch(color=swatch, label=f"{value:+.3f}" + ("" if color in used else " (unused)"))
        for color, (swatch, value) in enumerate(zip(swatches, _key_values(layers), strict=False))
    ]
    if patches:
        columns = _key_columns(len(patches), figure.get_size_inches()[1])
        figure.legend(
            handles=patches, loc="outside right center", ncols=columns, fontsize=7, title="weight"
        )


def _distinct_colors(n: int) -> list[str]:
    """Return n colours that neighbours in the list do not resemble."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if n <= 20:
        return [to_hex(colormaps["tab20"](i)) for i in range(n)]
    # Hues by the golden ratio, in four shades, since more than twenty hues look alike.
    shades = [(0.95, 0.95), (0.95, 0.6), (0.45, 0.95), (0.45, 0.6)]
    return [to_hex(hsv_to_rgb(i * 0.61803 % 1.0, *shades[i % 4])) for i in range(n)]


def _draw_values(figure: Any, axes: list[Axes], layers: list[Layer]) -> None:
    matrices = [layer.weight.detach().cpu().numpy() for layer in layers]
    limit = max(float(np.abs(matrix).max()) for matrix in matrices) or 1.0
    for ax, layer, matrix in zip(axes, layers, matrices, strict=True):
        removed = ~layer.mask.cpu().numpy() if isinstance(layer, MaskedLinear) else False
        shown = np.ma.masked_array(matrix, mask=removed)
        image = ax.imshow(shown, cmap="RdBu", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axes, label="weight")
