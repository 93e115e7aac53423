"""The best returns of each interval of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .figure import color, new_figure, save_figure
from .learning_curve import Rows, label_steps, numbers

NUM_INTERVALS = 20

NOTHING = float("nan")


def best_per_interval(rows: Rows, column: str, start: float = 0) -> tuple[list[float], list[float]]:
    """Return the highest value of a column in each twentieth of the steps.

    Fewer generations than that are intervals themselves.

    Args:
        rows: of a run's ``progress.csv``.
        column: of the returns.
        start: environment steps before the first row.

    Returns:
        The values, NaN where no generation ends, and the ends of their intervals, one more.

    Examples:
        >>> rows = [{"env_steps": 30, "return_best": 1.0}, {"env_steps": 40, "return_best": 2.0}]
        >>> best_per_interval(rows, "return_best", start=20)
        ([1.0, 2.0], [20, 30.0, 40.0])
    """
    steps, values = numbers(rows, "env_steps"), numbers(rows, column)
    if len(rows) <= NUM_INTERVALS:
        return values, [start, *steps]
    length = steps[-1] - start
    best = [NOTHING] * NUM_INTERVALS
    for step, value in zip(steps, values, strict=True):
        # an interval holds its end: the last row of a run belongs to the last one
        place = max(-int(-(step - start) * NUM_INTERVALS // length) - 1, 0)
        if value == value and not best[place] >= value:
            best[place] = value
    return best, [start + length * i / NUM_INTERVALS for i in range(NUM_INTERVALS + 1)]


def plot_best_per_interval(
    curves: Mapping[str, tuple[Rows, str]],
    path: Path,
    *,
    starts: Mapping[str, float] | None = None,
    title: str = "",
) -> Path:
    """Draw the highest return of each twentieth of a run's steps, or of each generation if fewer.

    Args:
        curves: rows of a run's ``progress.csv`` and the column to draw, by name.
        path: of the PNG.
        starts: environment steps before the first row, by name; 0 for those that are not named.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figures 9 to 11.
    """
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    ends: list[float] = []
    for number, (label, (rows, column)) in enumerate(curves.items()):
        best, edges = best_per_interval(rows, column, (starts or {}).get(label, 0))
        axes.stairs(best, edges, baseline=None, label=label, color=color(number), linewidth=1.8)
        ends += (edges[0], edges[-1])
    label_steps(axes)
    axes.set(ylabel="best return of the interval", title=title, xlim=(min(ends), max(ends)))
    axes.legend(fontsize=8)
    return save_figure(figure, path)
