"""The learning curve of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .figure import new_figure, save_figure


def plot_learning_curve(
    rows: Sequence[Mapping[str, str | float]], path: Path, *, title: str = ""
) -> Path:
    """Draw return against environment steps, with a tick at every update of the controller.

    Args:
        rows: of a run's ``progress.csv``.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.
    """
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    steps = [float(row["env_steps"]) for row in rows]
    for column, label, style in (
        ("return_center", "centre", {"color": "C0", "linewidth": 2.0}),
        ("return_mean", "mean of the candidates", {"color": "C1"}),
        ("return_best", "best candidate", {"color": "C2", "alpha": 0.5}),
    ):
        values = [float(row[column]) for row in rows]
        marker = "o" if len(rows) == 1 else ""  # a line of one point is invisible
        axes.plot(steps, values, label=label, zorder=2.5, marker=marker, **style)
    updates = _controller_updates(rows)
    if updates:
        heights = axes.get_xaxis_transform()
        axes.vlines(
            updates, 0, 0.03, transform=heights, color="0.4", linewidth=0.6,
            label=f"updates of the controller ({len(updates)})",
        )  # fmt: skip
    axes.set(xlabel="environment steps", ylabel="return of an episode", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)


def _controller_updates(rows: Sequence[Mapping[str, str | float]]) -> list[float]:
    """Return the environment steps at which the controller's count of updates went up."""
    counts = [0, *(int(row["controller_updates"]) for row in rows)]
    pairs = zip(rows, counts[:-1], counts[1:], strict=True)
    return [float(row["env_steps"]) for row, before, after in pairs if after > before]
