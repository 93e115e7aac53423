"""The structures of one task, held while another task of equal dimensions learns its weights.

    python benchmarks/transfer.py --list          # what would run
    python benchmarks/transfer.py                 # HalfCheetah-v5 → Walker2d-v5
    python benchmarks/transfer.py --draw          # the picture of the records there are

The first run searches colourings of HalfCheetah's network. The others train weights only, on
Walker2d: for its 5 best colourings, for 5 random ones, and for colourings searched on Walker2d
itself. Every run goes through benchmarks/record_run.py: an interrupted one goes on when it is
started again, and one whose record exists is left alone. The picture is Figure 15 of Chromatic
Networks (arXiv 1907.06511).
"""

from __future__ import annotations

import argparse
import sys

from machine import RESULTS, ROOT
from planned_records import Planned, record_planned
from search_records import curve

from structured_layers.plots.figure import color, new_figure, save_figure

GROUP = "transfer"
SOURCE_ENV, TARGET_ENV, TOP = "HalfCheetah-v5", "Walker2d-v5", 5
SIZES = ("--popsize", "40", "--center-evaluations", "2", "--learning-rate", "0.02")
KINDS = {
    "transferred": "the 5 best colourings of HalfCheetah",
    "random": "5 random colourings",
    "searched": "colourings searched on Walker2d",
}


def planned_runs(steps: int, seeds: int, actors: int) -> list[Planned]:
    """Return the source and the runs that are compared, in their order."""
    runs = []
    shared = ["--structure", "chromatic", "--total-steps", str(steps), *SIZES]
    shared += ["--num-actors", str(actors)] if actors else []
    for seed in range(seeds):
        source = f"source-seed{seed}"
        options = {
            "transferred": ["--init-topologies", f"runs/{source}", "--top", str(TOP)],
            "random": ["--controller", "fixed", "--controller-population", str(TOP)],
            "searched": [],
        }
        runs.append(_planned(source, SOURCE_ENV, seed, [*shared]))
        for kind, more in options.items():
            runs.append(_planned(f"{kind}-seed{seed}", TARGET_ENV, seed, [*shared, *more]))
    return runs


def _planned(name: str, env: str, seed: int, options: list[str]) -> Planned:
    return Planned(name, ["train", env, "--seed", str(seed), *options])


def main() -> int:
    """List, run or draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--total-steps", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--num-actors", type=int, default=0)
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    parser.add_argument("--draw", action="store_true", help="draw the picture and stop")
    args = parser.parse_args()
    if args.draw:
        draw()
        return 0
    runs = planned_runs(args.total_steps, args.seeds, args.num_actors)
    return record_planned(GROUP, runs, only=args.only, just_list=args.list)


def draw() -> None:
    """Draw the return of the centre of each kind of run, mean and deviation over the seeds."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    for number, (kind, label) in enumerate(KINDS.items()):
        files = sorted((RESULTS / GROUP).glob(f"{kind}-seed*/progress.csv"))
        if not files:
            continue
        steps, mean, deviation = curve(files)
        axes.plot(steps, mean, color=color(number), label=f"{label}, {len(files)} seeds")
        band = (mean - deviation, mean + deviation)
        axes.fill_between(steps, *band, color=color(number), alpha=0.2, linewidth=0)
    if not axes.lines:
        print(f"no records in {RESULTS / GROUP}")
        return
    axes.set(title=TARGET_ENV, xlabel="environment steps", ylabel="return of the centre")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    print(save_figure(figure, ROOT / "docs" / "assets" / "transfer_walker2d.png"))


if __name__ == "__main__":
    sys.exit(main())
