"""The runs of the clustered search, one record each.

    python benchmarks/better_search.py --list
    python benchmarks/better_search.py --only 17-colors

Every run goes through benchmarks/record_run.py, so an interrupted one goes on when it is started
again, and one whose record exists is left alone. Runs that start at another one's policy read it in
runs/, so that one has to have run here before; the plan has them in that order.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from typing import NamedTuple

from machine import RESULTS, ROOT

GROUP = "better_search"  # folder of these records under benchmarks/results/

# The dense networks that the stages start at; the first one had settings of its own.
DENSE = {
    0: "--center-evaluations 2 --total-steps 6000000",
    1: "--center-evaluations 4 --total-steps 10000000 --learning-rate-schedule linear --seed 1",
}
STAGES = {350: 1_500_000, 180: 1_500_000, 100: 2_000_000}
"""Edges that are left, and the steps that they train for."""

# What the search was compared with, by the name of the record: options of train.
COMPARED = {
    "dense-as-ars-seed0": (
        "--structure dense --total-steps 6000000 --popsize 64 --num-top 4 --stdev 0.03 "
        "--learning-rate 0.0012 --optimizer sgd --center-evaluations 2"
    ),
    "unpruned-17-colors-seed1": (
        "--preset clustered --num-colors 17 --popsize 40 --total-steps 4000000 "
        "--init-from runs/halfcheetah-dense-seed1"
    ),
    "unpruned-3-colors-held-seed0": (
        "--preset clustered --num-colors 3 --learning-rate-schedule constant "
        "--total-steps 2000000 --init-from runs/halfcheetah-dense-seed0"
    ),
    "unpruned-3-colors-seed1": (
        "--preset clustered --controller latent --num-colors 3 --stdev 0.03 "
        "--total-steps 3000000 --init-from runs/halfcheetah-dense-seed1"
    ),
    "unpruned-3-colors-large-stdev-seed1": (
        "--preset clustered --controller latent --num-colors 3 --stdev 0.05 "
        "--total-steps 3000000 --init-from runs/halfcheetah-dense-seed1"
    ),
    "unpruned-2-colors-seed1": (
        "--preset clustered --controller latent --num-colors 2 --stdev 0.03 "
        "--total-steps 5000000 --init-from runs/halfcheetah-dense-seed1"
    ),
    "mutated-17-colors-seed0": (
        "--preset clustered --num-colors 17 --num-mutations 1 --total-steps 2000000 "
        "--init-from runs/halfcheetah-100-edges-seed0"
    ),
}

FEW_COLORS = {5: 3_000_000, 3: 6_000_000, 2: 5_000_000}
"""Colors, and the steps of the search for the coloring."""


class Planned(NamedTuple):
    """A run: the name of its record and the words after ``train``."""

    name: str
    command: list[str]


def planned_runs() -> list[Planned]:
    """Return all runs, each after the one that it starts at."""
    runs = [
        _planned(f"17-colors-seed{seed}", f"--num-colors 17 --total-steps 15000000 --seed {seed}")
        for seed in range(3)
    ]
    for seed in DENSE:
        runs += _stages(seed)
    for colors, steps in FEW_COLORS.items():
        search = f"--controller latent --num-colors {colors} --stdev 0.03"
        runs.append(_planned(f"pruned-{colors}-colors-seed0", search, steps, "100-edges-seed0"))
    compared = COMPARED.items()
    runs += [Planned(f"halfcheetah-{n}", _words(f"HalfCheetah-v5 {o}")) for n, o in compared]
    swimmer = (
        "Swimmer-v5 --preset clustered --num-colors 8 --hidden 0 --no-observation-normalization "
        "--popsize 16 --stdev 0.05 --learning-rate 0.01 --total-steps 1000000 "
        "--init-from benchmarks/results/swimmer-chromatic-8-seed0"
    )
    return [*runs, Planned("swimmer-8-colors-seed0", _words(swimmer))]


def _stages(seed: int) -> list[Planned]:
    """Return a dense run, runs with fewer and fewer edges, and one with 17 weights for these."""
    dense = "--structure dense --popsize 64 --stdev 0.05 --learning-rate 0.02"
    before = f"dense-seed{seed}"
    runs = [Planned(f"halfcheetah-{before}", _words(f"HalfCheetah-v5 {dense} {DENSE[seed]}"))]
    for edges, steps in STAGES.items():
        name = f"{edges}-edges-seed{seed}"
        held = f"--structure edges --num-edges {edges} --learning-rate-schedule constant"
        runs.append(_planned(name, f"{held} --seed {seed}", steps, before))
        before = name
    clustered = f"--num-colors 17 --seed {seed}"
    return [*runs, _planned(f"pruned-17-colors-seed{seed}", clustered, 2_000_000, before)]


def _planned(name: str, options: str, steps: int | None = None, before: str = "") -> Planned:
    command = f"HalfCheetah-v5 --preset clustered {options}"
    if steps is not None:
        command += f" --total-steps {steps} --init-from runs/halfcheetah-{before}"
    return Planned(f"halfcheetah-{name}", _words(command))


def _words(command: str) -> list[str]:
    return ["train", *shlex.split(command)]


def main() -> int:
    """List or run."""
    parser = argparse.ArgumentParser(description="Records of the clustered search.")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    args = parser.parse_args()
    for run in planned_runs():
        if args.only not in run.name:
            continue
        script = ["benchmarks/record_run.py", "--group", GROUP, run.name]
        command = [sys.executable, *script, "--", *run.command]
        if args.list:
            print(shlex.join(["python", *command[1:]]))
        elif not (RESULTS / GROUP / run.name / "record.json").exists():
            code = subprocess.run(command, cwd=ROOT).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
