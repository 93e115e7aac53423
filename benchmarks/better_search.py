"""The runs of the clustered search, one record each.

    python benchmarks/better_search.py --list
    python benchmarks/better_search.py --only 17-colors

Most runs start at an actor that PPO trained, a record in benchmarks/results/sb3/ that comes from
``python benchmarks/sb3_run.py halfcheetah-start-seed0 halfcheetah-start``. Every run goes through
benchmarks/record_run.py, so an interrupted one goes on when it is started again, and one whose
record exists is left alone.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from typing import NamedTuple

from machine import RESULTS, ROOT

GROUP = "better_search"  # folder of these records under benchmarks/results/
SEEDS = (0, 1, 2)

# What starts at the actor of PPO, by the name of the record: options of train, and the seeds.
STARTED: dict[str, tuple[str, tuple[int, ...]]] = {
    "17-colors": ("--num-colors 17 --total-steps 5000000", SEEDS),
    "3-colors": (
        "--num-colors 3 --controller latent --stdev 0.03 --total-steps 8000000", SEEDS,
    ),
    "2-colors": (
        "--num-colors 2 --controller latent --stdev 0.03 --total-steps 8000000", (0, 1),
    ),
    "5-colors": (
        "--num-colors 5 --controller latent --stdev 0.03 --total-steps 5000000", (0, 1),
    ),
    "64-edges": (
        "--structure edges --controller magnitude --num-edges 64 --total-steps 20000000", (0, 1),
    ),
    "50-colors": ("--num-colors 50 --total-steps 3000000", (0,)),
    "8-colors": ("--num-colors 8 --total-steps 5000000", (0,)),
    # what the choices of the preset were compared with
    "17-colors-cmaes": (
        "--num-colors 17 --optimizer cmaes --learning-rate-schedule constant "
        "--total-steps 3000000", (0,),
    ),
    "17-colors-recolored": ("--num-colors 17 --num-mutations 1 --total-steps 5000000", (0,)),
    "3-colors-held": ("--num-colors 3 --total-steps 8000000", (0,)),
}  # fmt: skip

EVOLUTION = "--preset clustered --num-colors 17 --total-steps 24900000"
"""Without gradients: the dense network is trained by the evolution strategy, too."""


class Planned(NamedTuple):
    """A run: the name of its record and the words after ``train``."""

    name: str
    command: list[str]


def planned_runs() -> list[Planned]:
    """Return all runs, the most important first."""
    runs = [
        _planned(f"{name}-seed{seed}", f"--preset clustered {options} {_start(seed)}", seed)
        for name, (options, seeds) in STARTED.items()
        for seed in seeds
    ]
    return runs + [_planned(f"evolution-17-colors-seed{s}", EVOLUTION, s) for s in SEEDS]


def _start(seed: int) -> str:
    """Return the options of a run that starts at the actor of PPO of the same seed."""
    folder = f"benchmarks/results/sb3/halfcheetah-start-seed{seed}"
    files = f"--init-from {folder}/model.zip --init-vecnormalize {folder}/vecnormalize.pkl"
    return f"--output-bias {files}"


def _planned(name: str, options: str, seed: int) -> Planned:
    words = f"HalfCheetah-v5 {options} --seed {seed}"
    return Planned(f"halfcheetah-{name}", ["train", *shlex.split(words)])


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
