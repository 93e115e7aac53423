"""What is reached with how many edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .figure import color, new_figure, only_whole_ticks, save_figure


def plot_return_against_edges(
    points: Sequence[tuple[float, float]],
    path: Path,
    *,
    archive: Sequence[tuple[float, float]] = (),
    size_label: str = "edges of the centre",
    title: str = "",
) -> Path:
    """Draw return against size, and an archive of which no point is beaten in both.

    Args:
        points: size and return of the centre of every generation, in order.
        path: of the PNG.
        archive: size and return of candidates; it may be empty.
        size_label: what the size is.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Figure 6.
    """
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    if points:
        sizes, returns = zip(*points, strict=True)
        shown = axes.scatter(
            sizes,
            returns,
            c=range(1, len(points) + 1),
            cmap="viridis_r",
            s=18,
            zorder=2.5,
            label="centre of a generation",
        )
        only_whole_ticks(figure.colorbar(shown, ax=axes, label="generation").ax.yaxis)
    if archive:
        sizes, returns = zip(*sorted(archive), strict=True)
        axes.step(
            sizes, returns, where="post", marker="o", markersize=4, color=color(1),
            label="Pareto archive of candidates",
        )  # fmt: skip
    axes.set(xlabel=size_label, ylabel="return of an episode", title=title)
    only_whole_ticks(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(figure, path)
