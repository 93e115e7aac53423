"""The weight matrices of a network, with edges that share a weight in one colour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, MaskedLinear, StructuredLinear
from .figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Layer = nn.Linear | StructuredLinear


def plot_weights(network: nn.Module, path: Path, *, title: str = "") -> Path:
    """Draw every weight matrix, inputs across and outputs down.

    In a chromatic network each shared weight has a colour of its own, listed with its value; in
    other networks the colour is the value. Edges that do not exist stay white.

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
    widths = [max(layer.in_features, 6) for layer in layers]
    tallest = max(layer.out_features for layer in layers)
    figure = new_figure(0.2 * sum(widths) + 2.5, max(0.2 * tallest, 1.8) + 1.0)
    figure.suptitle(title)
    axes = figure.subplots(1, len(layers), squeeze=False, width_ratios=widths)[0]
    chromatic = all(isinstance(layer, ChromaticLinear) for layer in layers)
    draw = _draw_colors if chromatic else _draw_values
    draw(figure, list(axes), layers)
    for number, (ax, layer) in enumerate(zip(axes, layers, strict=True), start=1):
        ax.set(title=f"layer {number}", xlabel=f"{layer.in_features} inputs")
        ax.set_ylabel(f"{layer.out_features} outputs")
        ax.set_xticks(np.arange(0.5, layer.in_features - 1), minor=True)
        ax.set_yticks(np.arange(0.5, layer.out_features - 1), minor=True)
        ax.set(xticks=[], yticks=[])
        ax.grid(which="minor", color="white", linewidth=1)  # tells apart neighbours of one colour
        ax.tick_params(which="minor", length=0)
    return save_figure(figure, path)


def _draw_colors(figure: Any, axes: list[Axes], layers: list[Any]) -> None:
    """Draw colours as colours, with a key of the values if the layers share one palette."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    num_colors = max(layer.values.numel() for layer in layers)
    swatches = _distinct_colors(num_colors)
    for ax, layer in zip(axes, layers, strict=True):
        colors = layer.colors.numpy()
        shown = np.ma.masked_less(colors, 0)
        ax.imshow(shown, cmap=ListedColormap(swatches), vmin=-0.5, vmax=num_colors - 0.5)
    if len({id(layer.values) for layer in layers}) == 1:
        values = layers[0].values.detach().tolist()
        patches = [
            Patch(color=swatch, label=f"{value:+.2f}")
            for swatch, value in zip(swatches, values, strict=True)
        ]
        columns = 1 if num_colors <= 20 else 2
        figure.legend(
            handles=patches, loc="outside right center", ncols=columns, fontsize=7, title="weight"
        )


def _distinct_colors(n: int) -> list[str]:
    """Return n colours that neighbours in the list do not resemble."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if n <= 20:
        return [to_hex(colormaps["tab20"](i)) for i in range(n)]
    return [to_hex(colormaps["hsv"]((i * 0.61803) % 1.0)) for i in range(n)]  # golden ratio


def _draw_values(figure: Any, axes: list[Axes], layers: list[Layer]) -> None:
    matrices = [layer.weight.detach().numpy() for layer in layers]
    limit = max(float(np.abs(matrix).max()) for matrix in matrices) or 1.0
    for ax, layer, matrix in zip(axes, layers, matrices, strict=True):
        removed = ~layer.mask.numpy() if isinstance(layer, MaskedLinear) else False
        shown = np.ma.masked_array(matrix, mask=removed)
        image = ax.imshow(shown, cmap="RdBu", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axes, label="weight")
