"""The learning curve of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .figure import color, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, str | float]]

BANDS = (("return_q05", "return_q95", 0.15), ("return_q25", "return_q75", 0.3))
"""Columns between which the candidates of a generation lie, and how dense their band is."""

MAX_BARS = 60
"""The most updates of a controller that are drawn over the whole height."""


def plot_learning_curve(rows: Rows, path: Path, *, title: str = "", phase_rows: Rows = ()) -> Path:
    """Draw return against environment steps, with all candidates as a band.

    The dark band holds the middle half of a generation's candidates, the light one nine tenths of
    them. Every update of the controller is a bar, or a tick at the foot if there are many.

    Args:
        rows: of a run's ``progress.csv``; those of earlier versions have no bands.
        path: of the PNG.
        title: over the picture.
        phase_rows: of a dense phase before the run.

    Returns:
        ``path``.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figures 5 to 8.
    """
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    draw_candidates(axes, rows)
    marker = "o" if len(rows) == 1 else ""  # a line of one point is invisible
    for column, label, style in (
        ("return_center", "centre", {"color": color(0), "linewidth": 2.0}),
        ("return_mean", "mean of the candidates", {"color": color(1)}),
        ("return_best", "best candidate", {"color": color(2), "alpha": 0.6, "linewidth": 1.0}),
    ):
        axes.plot(
            numbers(rows, "env_steps"), numbers(rows, column), label=label, zorder=2.5,
            marker=marker, **style,
        )  # fmt: skip
    if phase_rows:
        axes.plot(
            numbers(phase_rows, "env_steps"), numbers(phase_rows, "return_center"),
            label="centre of the dense phase", color=color(6), linestyle="--",
        )  # fmt: skip
    _draw_updates(axes, _controller_updates(rows))
    label_steps(axes)
    axes.grid(visible=False, axis="x")  # not to be mixed up with the updates
    axes.set(ylabel="return of an episode", title=title)
    # below, since bands fill the whole height of a short run
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return save_figure(figure, path)


def draw_candidates(axes: Axes, rows: Rows, hue: str = "") -> None:
    """Draw the bands of the candidates, if the rows know them."""
    for number, (low, high, alpha) in enumerate(BANDS):
        if rows and low in rows[0]:
            axes.fill_between(
                numbers(rows, "env_steps"), numbers(rows, low), numbers(rows, high),
                color=hue or color(1), alpha=alpha, linewidth=0,
                label=f"{('nine tenths', 'half')[number]} of the candidates",
            )  # fmt: skip


def _draw_updates(axes: Axes, updates: list[float]) -> None:
    if not updates:
        return
    height = 1.0 if len(updates) <= MAX_BARS else 0.03
    axes.vlines(
        updates, 0, height, transform=axes.get_xaxis_transform(), color=color(3), linewidth=0.8,
        zorder=0.5, label=f"updates of the controller ({len(updates)})",
    )  # fmt: skip


def label_steps(axes: Axes) -> None:
    """Name the axis of the environment steps, and draw the grid."""
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)


def numbers(rows: Rows, column: str) -> list[float]:
    """Return a column as numbers."""
    return [float(row[column]) for row in rows]


def _controller_updates(rows: Rows) -> list[float]:
    """Return the environment steps at which the controller's count of updates went up."""
    counts = [0, *(int(row["controller_updates"]) for row in rows)]
    pairs = zip(rows, counts[:-1], counts[1:], strict=True)
    return [float(row["env_steps"]) for row, before, after in pairs if after > before]
