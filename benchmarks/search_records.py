"""The runs that compare searches, one record each, and the picture of their curves.

    python benchmarks/search_records.py --list            # what would run
    python benchmarks/search_records.py --only swimmer-stst
    python benchmarks/search_records.py --draw            # pictures of the records there are

Every run goes through benchmarks/record_run.py, so an interrupted one goes on when it is started
again, and one whose record exists is left alone. Curves are the mean over the seeds of the return
of the center, in a band of one standard deviation.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from machine import RESULTS, ROOT
from numpy.typing import NDArray
from planned_records import Planned, record_planned

from structured_layers.integrations.evotorch.presets import Preset, preset_settings
from structured_layers.plots.figure import new_figure, save_figure

GROUP = "searches"  # folder of these records under benchmarks/results/
PRESETS = ("stst", "stst-hadamard", "stun", "unun")
COMPARED = ("Swimmer-v5", "HalfCheetah-v5")
OTHERS = (
    "Hopper-v5",
    "Walker2d-v5",
    "Ant-v5",
    "Humanoid-v5",
    "Pusher-v5",
    "Reacher-v5",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
)
POPSIZE, CENTERS = 40, 2
EPISODES = 1_000  # of the training of ARS on Swimmer, evaluations of the center not counted


def planned_runs(actors: int) -> list[Planned]:
    """Return all runs in the order of their importance."""
    runs = []
    for seed in range(5):
        runs.append(_ars("Swimmer-v5", "ars-v1", seed, _swimmer_steps("ars-v1"), 0))
    for seed in range(3):
        runs.append(_ars("HalfCheetah-v5", "ars-v2-t", seed, 5_000_000, actors))
    for env in COMPARED:
        for preset in PRESETS:
            for seed in range(3):
                runs.append(_evolution(env, preset, seed, 10_000_000, actors))
    for seed in range(5):
        runs.append(_ars("Swimmer-v5", "ars-v2", seed, _swimmer_steps("ars-v2"), 0))
    for env in OTHERS:
        for preset in ("stst", "stun", "unun"):
            runs.append(_evolution(env, preset, 0, 500_000, actors))
    return runs


def _swimmer_steps(preset: Preset) -> int:
    """Return the steps of the training episodes and of one episode of the center a generation."""
    popsize = preset_settings(preset, "Swimmer-v5")["popsize"]
    return 1_000 * EPISODES * (popsize + 1) // popsize


def _ars(env: str, preset: str, seed: int, steps: int, actors: int) -> Planned:
    return _planned(env, preset, seed, steps, actors, [])


def _evolution(env: str, preset: str, seed: int, steps: int, actors: int) -> Planned:
    sizes = ["--popsize", str(POPSIZE), "--center-evaluations", str(CENTERS)]
    return _planned(env, preset, seed, steps, actors, sizes)


def _planned(env: str, preset: str, seed: int, steps: int, actors: int, more: list[str]) -> Planned:
    name = f"{env.partition('-v')[0].lower()}-{preset}-seed{seed}"
    command = [env, "--preset", preset, "--total-steps", str(steps), "--seed", str(seed), *more]
    if actors:
        command += ["--num-actors", str(actors)]
    return Planned(name, ["train", *command])


def main() -> int:
    """List, run or draw."""
    parser = argparse.ArgumentParser(description="Records that compare searches.")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--num-actors", type=int, default=2, help="of the larger runs")
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    parser.add_argument("--draw", action="store_true", help="draw the pictures and stop")
    args = parser.parse_args()
    if args.draw:
        for env in COMPARED:
            draw(env)
        return 0
    runs = planned_runs(args.num_actors)
    return record_planned(GROUP, runs, only=args.only, just_list=args.list)


def draw(env: str) -> None:
    """Draw the curves of the presets of one environment, if there are records."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    short = env.partition("-v")[0].lower()
    for number, preset in enumerate(PRESETS):
        files = sorted((RESULTS / GROUP).glob(f"{short}-{preset}-seed*/progress.csv"))
        if not files:
            continue
        steps, mean, deviation = curve(files)
        axes.plot(steps, mean, color=f"C{number}", label=f"{preset}, {len(files)} seeds")
        band = (mean - deviation, mean + deviation)
        axes.fill_between(steps, *band, color=f"C{number}", alpha=0.2, linewidth=0)
    if not axes.lines:
        print(f"no records of {env}")
        return
    axes.set(title=env, xlabel="environment steps", ylabel="return of the center")
    axes.grid(alpha=0.3)
    axes.legend()
    print(save_figure(figure, ROOT / "docs" / "assets" / f"structured_evolution_{short}.png"))


def curve(files: list[Path]) -> tuple[NDArray[np.float64], ...]:
    """Return steps, and mean and standard deviation over the files at those steps."""
    tables = []
    for path in files:
        with path.open(newline="") as file:
            rows = [
                (float(r["env_steps"]), float(r["return_center"])) for r in csv.DictReader(file)
            ]
        tables.append(np.array(rows).T)
    last = min(steps[-1] for steps, _ in tables)
    grid = np.linspace(max(steps[0] for steps, _ in tables), last, 200)
    returns = np.stack([np.interp(grid, steps, values) for steps, values in tables])
    return grid, returns.mean(axis=0), returns.std(axis=0)


if __name__ == "__main__":
    sys.exit(main())
