"""Several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from .figure import color, new_figure, save_figure
from .learning_curve import Rows, draw_candidates, label_steps, numbers


def plot_runs(groups: Mapping[str, Sequence[Rows]], path: Path, *, title: str = "") -> Path:
    """Draw the centre of every run; runs that differ in their seed only have one colour.

    Args:
        groups: rows of ``progress.csv`` of each run, by the name of their group.
        path: of the PNG.
        title: over the picture.

    Returns:
        ``path``.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Figure 5; Chromatic Networks, 2019
        (arXiv 1907.06511), Figure 15.
    """
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    styles = ("-", "--", ":")  # so that more groups than colours stay apart
    for number, (name, runs) in enumerate(groups.items()):
        label = name if len(runs) == 1 else f"{name} ({len(runs)} seeds)"
        for place, rows in enumerate(runs):
            axes.plot(
                numbers(rows, "env_steps"), numbers(rows, "return_center"), color=color(number),
                linestyle=styles[number // 8 % 3], linewidth=1.6 if len(runs) == 1 else 1.1,
                label=label if place == 0 else None, marker="o" if len(rows) == 1 else "",
            )  # fmt: skip
    label_steps(axes)
    axes.set(ylabel="return of the centre", title=title)
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def plot_run_panels(runs: Mapping[str, Rows], path: Path, *, same_scale: bool = True) -> Path:
    """Draw a panel for every run: its candidates as a band, and its centre.

    Args:
        runs: rows of ``progress.csv`` by the name of the run.
        path: of the PNG.
        same_scale: whether all panels have the same axis of returns.

    Returns:
        ``path``.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figure 4.
    """
    columns = min(len(runs), 3)
    lines = math.ceil(len(runs) / columns)
    figure = new_figure(3.2 * columns + 0.8, 2.7 * lines + 0.5)
    all_axes = figure.subplots(lines, columns, sharex=True, sharey=same_scale, squeeze=False)
    for axes in all_axes.flat[len(runs) :]:
        axes.remove()
    for number, (axes, (name, rows)) in enumerate(zip(all_axes.flat, runs.items(), strict=False)):
        draw_candidates(axes, rows)
        axes.plot(
            numbers(rows, "env_steps"), numbers(rows, "return_center"), color=color(0),
            linewidth=1.6, label="centre", marker="o" if len(rows) == 1 else "",
        )  # fmt: skip
        label_steps(axes)
        axes.set_title(name, fontsize=9, wrap=True)
        if number % columns == 0:
            axes.set_ylabel("return of an episode")
        if number < len(runs) - columns:
            axes.set_xlabel("")
        else:  # the panel below may be missing
            axes.tick_params(labelbottom=True)
    figure.legend(*all_axes.flat[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=3, fontsize=8)  # fmt: skip
    return save_figure(figure, path)
