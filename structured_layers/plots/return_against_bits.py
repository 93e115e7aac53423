"""What policies of different sizes reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Point:
    """A policy in the picture.

    Attributes:
        name: written beside it.
        bits: its size.
        mean: its return.
        error: of the mean, drawn as a bar.
    """

    name: str
    bits: int
    mean: float
    error: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in size and return, from small to large.

    Examples:
        >>> small, large = Point("a", 100, 5.0, 0.0), Point("b", 200, 9.0, 0.0)
        >>> [p.name for p in pareto_front([large, Point("c", 150, 4.0, 0.0), small])]
        ['a', 'b']
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.bits, -p.mean)):
        if not front or point.mean > front[-1].mean:
            front.append(point)
    return front


def plot_return_against_bits(
    points: Sequence[Point], path: Path, *, title: str = "", xlabel: str = "bits"
) -> Path:
    """Draw return against size on a logarithmic scale, with the Pareto front as a line.

    Args:
        points: the policies.
        path: of the PNG.
        title: over the picture.
        xlabel: says how the bits are counted.

    Returns:
        ``path``.
    """
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    front = pareto_front(points)
    axes.step(
        [p.bits for p in front], [p.mean for p in front], where="post", color="C1", alpha=0.7,
        label="Pareto front",
    )  # fmt: skip
    for point in points:
        on_front = point in front
        axes.errorbar(
            point.bits, point.mean, yerr=point.error, marker="o", capsize=2,
            color="C1" if on_front else "0.5",
        )  # fmt: skip
        # Good policies lie side by side at one height: slanted names do not cover each other.
        axes.annotate(
            point.name, (point.bits, point.mean), xytext=(4, 5), textcoords="offset points",
            fontsize=8, rotation=35 if on_front else 0, rotation_mode="anchor",
            fontweight="bold" if on_front else "normal",
        )  # fmt: skip
    axes.set(xscale="log", xlabel=xlabel, ylabel="return of an episode", title=title)
    _write_sizes(axes)
    axes.margins(x=0.1, y=0.22)  # for the names
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right")
    return save_figure(figure, path)


def _write_sizes(axes: Axes) -> None:
    """Write sizes as numbers, not as powers of ten, of which a narrow range has none."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
