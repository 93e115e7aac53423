"""The best returns of each interval of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .figure import color, new_figure, save_figure
from .learning_curve import Rows, label_steps, numbers

NUM_INTERVALS = 20


def best_per_interval(
    rows: Rows, column: str, end: float, count: int = NUM_INTERVALS
) -> list[float | None]:
    """Return the highest value of a column in each interval of the steps, None where no row is.

    Args:
        rows: of a run's ``progress.csv``.
        column: of the returns.
        end: environment steps at the end of the last interval.
        count: how many intervals there are.

    Examples:
        >>> rows = [{"env_steps": 3, "return_best": 1.0}, {"env_steps": 4, "return_best": 2.0}]
        >>> best_per_interval(rows, "return_best", end=40)[:3]
        [None, 2.0, None]
    """
    best: list[float | None] = [None] * count
    for steps, value in zip(numbers(rows, "env_steps"), numbers(rows, column), strict=True):
        # an interval holds its end: the last row of a run belongs to the last one
        place = min(max(-int(-steps * count // end) - 1, 0), count - 1)
        held = best[place]
        if value == value and (held is None or value > held):
            best[place] = value
    return best


def plot_best_per_interval(
    curves: Mapping[str, tuple[Rows, str]], path: Path, *, title: str = ""
) -> Path:
    """Draw the highest return of each twentieth of the steps, or of each generation if fewer.

    Args:
        curves: rows of a run's ``progress.csv`` and the column to draw, by name.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figures 9 to 11.
    """
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    end = max(numbers(rows, "env_steps")[-1] for rows, _ in curves.values())
    count = min(NUM_INTERVALS, *(len(rows) for rows, _ in curves.values()))
    edges = [end * i / count for i in range(count + 1)]
    for number, (label, (rows, column)) in enumerate(curves.items()):
        best = [
            float("nan") if value is None else value
            for value in best_per_interval(rows, column, end, count)
        ]
        axes.stairs(best, edges, baseline=None, label=label, color=color(number), linewidth=1.8)
    label_steps(axes)
    axes.set(ylabel="best return of the interval", title=title, xlim=(0, end))
    axes.legend(fontsize=8)
    return save_figure(figure, path)
