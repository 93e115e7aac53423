"""The runs of the clustered search, one record each.

    python benchmarks/better_search.py --list
    python benchmarks/better_search.py --only 17-colors

Some runs start at an actor that PPO trained, whose record in benchmarks/results/sb3/ holds its
command. Every run goes through benchmarks/record_run.py, so an interrupted one goes on when it is
started again, and one whose record exists is left alone.
"""

from __future__ import annotations

import argparse
import shlex
import sys

from planned_records import Planned, record_planned

GROUP = "better_search"  # folder of these records under benchmarks/results/
SEEDS = (0, 1, 2)

PPO, SPARSE = "halfcheetah-start", "halfcheetah-64-edges"  # records of Stable-Baselines3
EVOLVED = "halfcheetah-evolution-17-colors-seed{seed}/dense"  # and runs
LATENT = "--controller latent --stdev 0.03 --learning-rate 0.02"
RUNS: dict[str, tuple[str, tuple[int, ...], str | None]] = {
    "17-colors": ("--num-colors 17 --total-steps 10000000", SEEDS, PPO),
    "64-edges": ("--structure edges --num-edges 64 --total-steps 10000000", (0,), SPARSE),
    # without gradients: the dense network is trained by the evolution strategy, too
    "evolution-17-colors": ("--num-colors 17 --total-steps 24900000", SEEDS, None),
    "3-colors": (f"--num-colors 3 --total-steps 5000000 {LATENT}", (0,), EVOLVED),
    "2-colors": (f"--num-colors 2 --total-steps 5000000 {LATENT}", (0,), EVOLVED),
    "5-colors": (f"--num-colors 5 --total-steps 5000000 {LATENT}", (0,), EVOLVED),
    **{
        f"{colors}-colors-longer": (
            f"--num-colors {colors} --total-steps 3100000", (0,),
            f"halfcheetah-{colors}-colors-seed{{seed}}",
        )
        for colors in (5, 3, 2)
    },
    "5-colors-longest": (
        "--num-colors 5 --total-steps 3100000", (0,), "halfcheetah-5-colors-longer-seed{seed}",
    ),
    "5-colors-from-17": (
        "--num-colors 5 --controller latent --total-steps 4000000 --stdev 0.02 "
        "--learning-rate 0.01 --output-bias", (2,), "halfcheetah-17-colors-seed{seed}",
    ),
    "5-colors-from-17-longer": (
        "--num-colors 5 --total-steps 4000000 --output-bias", (2,),
        "halfcheetah-5-colors-from-17-seed{seed}",
    ),
    "50-colors": ("--num-colors 50 --total-steps 3000000", (0,), PPO),
    "8-colors": ("--num-colors 8 --total-steps 5000000", (0,), PPO),
}  # fmt: skip
"""By the name of the record: options of train, the seeds, and what the run starts at."""

# What the choices of the preset were compared with.
COMPARED: dict[str, tuple[str, tuple[int, ...], str | None]] = {
    "17-colors-small-stdev": (
        "--num-colors 17 --stdev 0.01 --learning-rate 0.002 --total-steps 5000000", (0,), PPO,
    ),
    "17-colors-cmaes": (
        "--num-colors 17 --optimizer cmaes --total-steps 5000000", (0,), PPO,
    ),
    "17-colors-recolored": ("--num-colors 17 --num-mutations 1 --total-steps 10000000", (0,), PPO),
    "3-colors-held": (
        "--num-colors 3 --stdev 0.03 --learning-rate 0.02 --total-steps 5000000", (0,), EVOLVED,
    ),
}  # fmt: skip


def planned_runs() -> list[Planned]:
    """Return all runs, the most important first, each after the one that it starts at."""
    return [
        _planned(f"{name}-seed{seed}", f"{options} {_start(start, seed)} --seed {seed}")
        for name, (options, seeds, start) in (RUNS | COMPARED).items()
        for seed in seeds
    ]


def _start(start: str | None, seed: int) -> str:
    """Return the options that let a run start at the policy of the same seed."""
    if start is None:
        return ""
    if start not in (PPO, SPARSE):
        return f"--init-from runs/{start.format(seed=seed)}"
    folder = f"benchmarks/results/sb3/{start}-seed{seed}"
    files = f"--init-from {folder}/model.zip --init-vecnormalize {folder}/vecnormalize.pkl"
    return f"--output-bias {files}"


def _planned(name: str, options: str) -> Planned:
    words = shlex.split(f"HalfCheetah-v5 --preset clustered {options}")
    return Planned(f"halfcheetah-{name}", ["train", *words])


def main() -> int:
    """List or run."""
    parser = argparse.ArgumentParser(description="Records of the clustered search.")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--list", action="store_true", help="print the commands and stop")
    args = parser.parse_args()
    runs = planned_runs()
    return record_planned(GROUP, runs, only=args.only, just_list=args.list)


if __name__ == "__main__":
    sys.exit(main())
