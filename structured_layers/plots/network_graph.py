"""A network as a graph: its units in columns, its edges as lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, MaskedLinear, StructuredLinear, UnitActivations
from ..layers.activations import KINDS
from ..networks import SkipMLP
from .figure import COLORS, new_figure, save_figure
from .weights import Layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_UNITS = 60
"""The most units of a column that are named or numbered."""

BEND = 0.1
"""How far an edge that skips a column is bent, with columns of height 1."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Edge:
    """An edge from one point to another, and its weight."""

    start: Point
    stop: Point
    weight: float


def plot_network_graph(network: nn.Module, path: Path, *, title: str = "") -> Path:
    """Draw every unit and every edge that exists, as wide as its weight is large.

    Inputs are left, outputs right, numbered from 0 as in observations and actions. Positive weights
    are blue, negative ones orange and dashed. A hidden unit with an activation of its own is named
    by it.

    Args:
        network: of linear and structured layers in a row, or a ``SkipMLP``.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Figure 9.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, StructuredLinear))]
    if not layers:
        raise StructuredLayersError(f"{type(network).__name__} has no linear layer to draw")
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    columns = [_column(number, size) for number, size in enumerate(sizes)]
    edges: list[Edge] = []
    for number, layer in enumerate(layers):
        skips = isinstance(network, SkipMLP)
        sources = sum(columns[: number + 1], []) if skips else columns[number]
        edges += _edges(sources, columns[number + 1], layer)
    figure = new_figure(max(2.6 * len(sizes), 5.0), min(max(0.16 * max(sizes), 2.6), 6.5) + 0.9)
    axes = figure.add_subplot()
    _draw_edges(axes, edges)
    margin = BEND + 0.02 if isinstance(network, SkipMLP) else 0.03
    bottom = -margin
    for number, column in enumerate(columns):
        across, heights = zip(*column, strict=True)
        axes.scatter(across, heights, s=22, color="0.25", zorder=3)
        axes.text(number, bottom - 0.04, _column_name(number, len(sizes)), ha="center", va="top")
    _number_units(axes, columns[0], -0.05, "right")
    _number_units(axes, columns[-1], 0.05, "left")
    _name_units(axes, network, columns)
    axes.set(title=title, xlim=(-0.3, len(sizes) - 0.7), ylim=(bottom - 0.12, 1 + margin))
    axes.axis("off")
    return save_figure(figure, path)


def count_edges(network: nn.Module) -> int:
    """Return how many edges the graph of a network has."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, StructuredLinear))]
    return sum(int(_exists(layer).sum()) for layer in layers)


def _column(number: int, size: int) -> list[Point]:
    """Return the places of a column's units, from top to bottom."""
    heights = np.linspace(1, 0, size) if size > 1 else np.array([0.5])
    if 1 < size < 6:  # a few units need not be at the ends
        heights = 0.5 + (heights - 0.5) * 0.5
    return [(float(number), float(height)) for height in heights]


def _column_name(number: int, count: int) -> str:
    if number == 0:
        return "inputs"
    return "outputs" if number == count - 1 else f"hidden {number}"


def _edges(sources: list[Point], targets: list[Point], layer: Layer) -> list[Edge]:
    weight = layer.weight.detach().cpu().numpy()  # (out, in)
    return [
        Edge(sources[column], targets[row], float(weight[row, column]))
        for row, column in np.argwhere(_exists(layer)).tolist()
    ]


def _exists(layer: Layer) -> NDArray[np.bool_]:
    if isinstance(layer, MaskedLinear):
        return np.asarray(layer.mask.cpu().numpy(), dtype=bool)
    if isinstance(layer, ChromaticLinear):
        return np.asarray(layer.colors.cpu().numpy() >= 0)
    return np.ones((layer.out_features, layer.in_features), dtype=np.bool_)


def _draw_edges(axes: Axes, edges: list[Edge]) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    largest = max((abs(edge.weight) for edge in edges), default=0.0) or 1.0
    alpha = 0.9 if len(edges) <= 100 else 0.5
    key = []
    styles: tuple[tuple[bool, str, Literal["solid", "dashed"]], ...] = (
        (False, COLORS[0], "solid"),
        (True, COLORS[1], "dashed"),
    )
    for is_negative, hue, style in styles:
        drawn = [edge for edge in edges if (edge.weight < 0) == is_negative]
        widths = [0.3 + 1.9 * abs(edge.weight) / largest for edge in drawn]
        lines = [_line(edge) for edge in drawn]
        axes.add_collection(
            LineCollection(lines, colors=hue, linewidths=widths, alpha=alpha, linestyles=style)
        )
        name = f"{'negative' if is_negative else 'positive'} weight ({len(drawn)})"
        key.append(Line2D([], [], color=hue, linestyle=style, label=name))
    axes.legend(handles=key, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2)


def _line(edge: Edge) -> list[Point]:
    """Return a straight line, or one that bends around the columns that it skips."""
    (x0, y0), (x1, y1) = edge.start, edge.stop
    if x1 - x0 < 1.5:
        return [edge.start, edge.stop]
    share = np.linspace(0, 1, 20)
    bend = BEND * np.sin(np.pi * share) * (1 if y0 + y1 > 1 else -1)
    return list(zip(x0 + share * (x1 - x0), y0 + share * (y1 - y0) + bend, strict=True))


def _number_units(
    axes: Axes, column: list[Point], shift: float, side: Literal["left", "right"]
) -> None:
    """Write the number of each unit of a column beside it."""
    if len(column) <= MAX_UNITS:
        for number, (x, y) in enumerate(column):
            axes.text(x + shift, y, str(number), fontsize=6, ha=side, va="center")


def _name_units(axes: Axes, network: nn.Module, columns: list[list[Point]]) -> None:
    """Write the activation of each hidden unit beside it."""
    chosen = [m for m in network.modules() if isinstance(m, UnitActivations)]
    for units, column in zip(chosen, columns[1:-1], strict=False):
        if len(column) <= MAX_UNITS:
            for kind, (x, y) in zip(units.kinds.tolist(), column, strict=True):
                axes.text(
                    x + 0.03, y, KINDS[kind], fontsize=6, va="center", zorder=4,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
                )  # fmt: skip
