"""Draw return against bits of the actors that were trained from scratch, dense and with 4 colors.

    python benchmarks/sb3_pictures.py

Takes the records of HalfCheetah under benchmarks/results/sb3/, every hidden width that is there,
and writes frontier.png beside them. `python benchmarks/readme_tables.py` copies it into the docs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from machine import RESULTS
from sb3_records import Record, grouped, mean_bits, mean_return, read_sb3_records

from structured_layers.plots.figure import new_figure, save_figure
from structured_layers.plots.return_against_bits import Point, pareto_front

TASK = "halfcheetah"


def main() -> int:
    """Draw the picture."""
    path = RESULTS / "sb3" / "frontier.png"
    groups = grouped(read_sb3_records(RESULTS), TASK)
    if not groups:
        print(f"no record of {TASK} under {path.parent}")
        return 1
    print(plot_frontier(groups, path))
    return 0


def plot_frontier(groups: dict[tuple[str, str], list[Record]], path: Path) -> Path:
    """Draw each seed as a dot, a line through the means of each structure, and the Pareto front."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    for number, label in enumerate(dict.fromkeys(label for label, _ in groups)):
        mine = {arch: group for (other, arch), group in groups.items() if other == label}
        for group in mine.values():
            seeds = [record["return_mean"] for record in group]
            axes.plot([mean_bits(group)] * len(seeds), seeds, ".", color=f"C{number}", alpha=0.6)
        means = sorted((mean_bits(group), mean_return(group)) for group in mine.values())
        axes.plot(*zip(*means, strict=True), "o-", color=f"C{number}", label=label)
        for arch, group in mine.items():
            axes.annotate(
                arch, (mean_bits(group), mean_return(group)), xytext=(5, -12),
                textcoords="offset points", fontsize=8, color=f"C{number}",
            )  # fmt: skip
    front = frontier(groups)
    axes.step(
        [p.bits for p in front], [p.mean for p in front], where="post", color="0.3",
        linestyle=":", label="Pareto front of the means",
    )  # fmt: skip
    axes.set(xscale="log", xlabel="bits of the deployed actor (entropy)", ylabel="return")
    axes.set_title("Hidden widths beside the points, every seed a dot", fontsize=10)
    axes.margins(x=0.12, y=0.1)  # for the widths
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right")
    return save_figure(figure, path)


def frontier(groups: dict[tuple[str, str], list[Record]]) -> list[Point]:
    """Return the means that no other one beats in bits and return."""
    return pareto_front(
        [
            Point(f"{label}, {arch}", round(mean_bits(group)), mean_return(group), 0.0)
            for (label, arch), group in groups.items()
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
