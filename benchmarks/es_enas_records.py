"""The papers' own search on their tasks, one record each, and the pictures of the records.

    python benchmarks/es_enas_records.py --list
    python benchmarks/es_enas_records.py --only 17-colors
    python benchmarks/es_enas_records.py --draw

Every run goes through benchmarks/record_run.py, so an interrupted one goes on when it is started
again, and one whose record exists is left alone. The pictures are the controllers side by side and
the return against the bits of a policy, of these records and of those of the clustered search.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from better_search import GROUP as BETTER
from machine import RESULTS, ROOT
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from planned_records import Planned, record_planned

from structured_layers.plots.figure import color, new_figure, save_figure

GROUP = "es_enas"  # folder of these records under benchmarks/results/
ASSETS = ROOT / "docs" / "assets"
CONTROLLERS = ("regularized-evolution", "policy-gradient", "random", "fixed")
LONG, MIDDLE, SHORT = 30_000_000, 4_000_000, 2_000_000
SMALL = "--popsize 40 --center-evaluations 4 --learning-rate 0.02"  # generations of shorter runs
WINDOW = 20  # generations of a moving mean

# By the name of the record: environment, options of train, steps.
RUNS: dict[str, tuple[str, str, int]] = {
    **{
        f"halfcheetah-17-colors-{controller}": (
            "HalfCheetah-v5", f"--num-colors 17 --controller {controller}", LONG,
        )
        for controller in CONTROLLERS
    },
    "halfcheetah-64-edges": ("HalfCheetah-v5", "--structure edges --num-edges 64", MIDDLE),
    "halfcheetah-64-edges-activations": (
        "HalfCheetah-v5", "--structure edges --num-edges 64 --unit-activations all", MIDDLE,
    ),
    "hopper-11-colors": ("Hopper-v5", "--num-colors 11", MIDDLE),
    # depth and colours
    "halfcheetah-l-17-colors": ("HalfCheetah-v5", "--hidden 0 --num-colors 17", SHORT),
    "halfcheetah-l-50-colors": ("HalfCheetah-v5", "--hidden 0 --num-colors 50", SHORT),
    "halfcheetah-h41-17-colors": ("HalfCheetah-v5", "--hidden 41 --num-colors 17", SHORT),
    "halfcheetah-h41-h41-17-colors": ("HalfCheetah-v5", "--hidden 41 41 --num-colors 17", SHORT),
    "halfcheetah-h41-toeplitz": ("HalfCheetah-v5", "--hidden 41 --structure toeplitz", SHORT),
    # colourings that are held in phases
    "halfcheetah-17-colors-phases": (
        "HalfCheetah-v5",
        "--num-colors 17 --controller policy-gradient --controller-algorithm reinforce "
        "--phase-length 10 --estimator forward --center-structures sampled --popsize 20 "
        "--center-evaluations 2",
        3_000_000,
    ),
}  # fmt: skip


def planned_runs(seeds: int = 1) -> list[Planned]:
    """Return all runs, the most important first."""
    return [
        Planned(
            f"{name}-seed{seed}",
            shlex.split(
                f"train {env} {_sized(options, steps)} --total-steps {steps} --seed {seed}"
            ),
        )
        for seed in range(seeds)
        for name, (env, options, steps) in RUNS.items()
    ]


def _sized(options: str, steps: int) -> str:
    return options if steps == LONG or "--popsize" in options else f"{options} {SMALL}"


def main() -> int:
    """List, run or draw."""
    parser = argparse.ArgumentParser(description="Records of ES-ENAS.")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    parser.add_argument("--draw", action="store_true", help="draw the pictures and stop")
    args = parser.parse_args()
    if args.draw:
        draw_controllers(ASSETS / "controllers_halfcheetah.png")
        draw_frontier(ASSETS / "frontier_halfcheetah.png")
        return 0
    runs = planned_runs(args.seeds)
    return record_planned(GROUP, runs, only=args.only, just_list=args.list)


def center_curve(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the environment steps and the return of a record's centre, (generations,) each."""
    with (folder / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = np.array([float(row["env_steps"]) for row in rows])
    return steps, np.array([float(row["return_center"]) for row in rows])


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each value and those before it, at most WINDOW of them, (n,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - WINDOW, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def draw_controllers(path: Path) -> None:
    """Draw the return of the centre under each controller, and that of the clustered search."""
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    places = [(RESULTS / GROUP, f"halfcheetah-17-colors-{name}", name) for name in CONTROLLERS]
    places += [(RESULTS / BETTER, "halfcheetah-17-colors", "clustered, started at PPO")]
    places += [(RESULTS / BETTER, "halfcheetah-evolution-17-colors", "clustered, evolution alone")]
    for number, (group, name, label) in enumerate(places):
        for seed, folder in enumerate(sorted(group.glob(f"{name}-seed*"))):
            steps, returns = center_curve(folder)
            before = json.loads((folder / "record.json").read_text())["env_steps_before"]
            shown = label if seed == 0 else None
            axes.plot((steps + before) / 1e6, smoothed(returns), color=color(number), label=shown)
    axes.set(
        xlabel="million environment steps, those before the search included",
        ylabel=f"return of the centre, mean of {WINDOW} generations",
        title="HalfCheetah-v5, 17 colours, one hidden layer of 32",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.1))  # below the curves
    print(save_figure(figure, path))


def draw_frontier(path: Path) -> None:
    """Draw the return against the bits of every record of HalfCheetah."""
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    for number, (group, label) in enumerate(((BETTER, "clustered search"), (GROUP, "ES-ENAS"))):
        found = [r for r in _records(RESULTS / group) if r["env"] == "HalfCheetah-v5"]
        bits = [least_bits(r) for r in found]
        means, deviations = ([r[f"return_{k}"] for r in found] for k in ("mean", "std"))
        axes.errorbar(
            bits, means, yerr=deviations, fmt="o", color=color(number), label=label,
            markersize=4, elinewidth=0.6, capsize=2,
        )  # fmt: skip
        for record, place, mean in zip(found, bits, means, strict=True):
            axes.annotate(
                str(record["weights"]), (place, mean), xytext=(4, 4), fontsize=7,
                textcoords="offset points",
            )  # fmt: skip
    axes.set(
        xscale="log",
        xlabel="bits of all weights, the shortest way to store them; the numbers are weights",
        ylabel="return over 100 fresh episodes",
        title="HalfCheetah-v5",
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    print(save_figure(figure, path))


def least_bits(record: dict[str, Any]) -> int:
    """Return the bits of the shortest of the ways to store a network."""
    return min(number for number in record["bits"].values() if number is not None)


def _records(group: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(group.glob("*/record.json"))]


if __name__ == "__main__":
    sys.exit(main())
