"""Several measures of a run over its environment steps, one below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figure import color, new_figure, only_whole_ticks, save_figure
from .learning_curve import label_steps


@dataclass(frozen=True)
class Panel:
    """One measure.

    Attributes:
        label: of its axis.
        lines: values at each of the steps, by name.
        band: low and high of what pure chance gives, None to draw none.
        band_label: its name.
        whole: whether the values are whole numbers, from 0 on.
    """

    label: str
    lines: Mapping[str, Sequence[float]]
    band: tuple[float, float] | None = None
    band_label: str = ""
    whole: bool = False


def plot_over_steps(
    steps: Sequence[int], panels: Sequence[Panel], path: Path, *, title: str = ""
) -> Path:
    """Draw the panels with one axis of steps.

    Args:
        steps: environment steps.
        panels: from top to bottom.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.
    """
    figure = new_figure(8, 1.2 + 2.0 * len(panels) if len(panels) > 1 else 3.8)
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        if panel.band is not None:
            axes.axhspan(*panel.band, color="0.6", alpha=0.5, linewidth=0, label=panel.band_label)
        for number, (name, values) in enumerate(panel.lines.items()):
            axes.plot(
                steps, values, label=name, color=color(number), marker=".", markersize=4,
                linestyle=("-", "--", ":")[number % 3],
            )  # fmt: skip
        axes.set_ylabel(panel.label)
        if panel.whole:
            largest = max(max(values) for values in panel.lines.values())
            axes.set_ylim(-0.05 * max(largest, 1), 1.1 * max(largest, 1))
            only_whole_ticks(axes.yaxis)
        axes.grid(alpha=0.3)
        if list(panel.lines) != [panel.label]:
            axes.legend(fontsize=8)
    label_steps(all_axes[-1])
    all_axes[0].set_title(title)
    return save_figure(figure, path)
