"""How sure a controller is of every edge, over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .figure import color, new_figure, only_whole_ticks, save_figure
from .learning_curve import label_steps


def plot_edge_frequencies(
    steps: list[int],
    certainty: NDArray[np.floating],
    path: Path,
    *,
    label: str,
    layer_sizes: list[int],
    start: int = 0,
    title: str = "",
) -> Path:
    """Draw a row for each edge and a column for each moment, and their mean above.

    Args:
        steps: environment steps of the moments, (S,); each shows what happened since the last one.
        certainty: (S, E), from 0 to 1.
        path: of the PNG.
        label: what the certainty is.
        layer_sizes: how many edges each layer has; they add up to E.
        start: environment steps before the first of what is shown.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Figure 7, where it is 2·|p − ½|.
    """
    num_edges = certainty.shape[1]
    figure = new_figure(8, min(max(0.1 * num_edges, 2.0), 4.5) + 1.8)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.6))
    top.plot(
        steps, certainty.mean(axis=1), color=color(0), marker="o" if len(steps) < 3 else "",
        clip_on=False,  # the last moment lies on the edge
    )  # fmt: skip
    top.set(ylabel="mean", ylim=(0, 1.02), title=title)
    top.grid(alpha=0.3)
    image = bottom.pcolormesh(
        [start, *steps], np.arange(num_edges + 1), certainty.T, cmap="viridis", vmin=0, vmax=1
    )
    for border in np.cumsum(layer_sizes)[:-1]:
        bottom.axhline(border, color="white", linewidth=1)
    label_steps(bottom)
    bottom.grid(visible=False)
    bottom.set(ylabel="edge" if len(layer_sizes) == 1 else "edge, layer by layer")
    bottom.invert_yaxis()
    only_whole_ticks(bottom.yaxis)
    figure.colorbar(image, ax=[top, bottom], label=label)
    return save_figure(figure, path)
