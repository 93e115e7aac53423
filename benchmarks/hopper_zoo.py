"""Train the policies that weight autoencoders learn from: Hopper-v5, 32 tanh units, by ES.

    python benchmarks/hopper_zoo.py --list     # the runs, their settings, and which are done
    python benchmarks/hopper_zoo.py            # train what is not done yet

Every run differs from the others in its seed and settings, and gives one policy for each of its
stopping points. A run that was interrupted goes on from its checkpoint, one that is done is left
alone. What the runs leave lies under runs/hopper_zoo/.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import ROOT, describe_origin
from torch.nn.utils import parameters_to_vector

from structured_layers.algorithms import ES
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.files import write_json, write_tensors
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.specs import NetworkSpec

ENV = "Hopper-v5"
SPEC = NetworkSpec(11, 3, hidden=(32,), output_bias=True)
FOLDER = ROOT / "runs" / "hopper_zoo"
STOPPING_POINTS = (100_000, 200_000, 350_000, 500_000, 750_000, 1_000_000, 1_250_000)
NUM_RUNS = 30
CHECKPOINT_EVERY = 20
POPSIZES, STDEVS, RATES = (32, 40, 64), (0.1, 0.15, 0.2), (0.03, 0.05, 0.1)


class Planned(NamedTuple):
    """One run: a seed, and settings that go through their combinations."""

    seed: int
    popsize: int
    stdev: float
    learning_rate: float
    alive_bonus: bool

    @property
    def name(self) -> str:
        """Name of what the run leaves."""
        return f"seed{self.seed:02d}"


def planned_runs() -> list[Planned]:
    """Return all runs; each setting takes all its values in any few runs that follow each other."""
    return [
        Planned(
            seed,
            POPSIZES[(seed // 3) % 3],
            STDEVS[seed % 3],
            RATES[(seed % 3 + seed // 9) % 3],
            alive_bonus=seed % 8 == 7,
        )
        for seed in range(NUM_RUNS)
    ]


def train(run: Planned, folder: Path) -> None:
    """Train a run to its last stopping point, and write the policy of each."""
    problem, search = _search(run)
    kept: dict[str, Any] = {}
    checkpoint = folder / f"{run.name}.checkpoint"
    if (checkpoint / "state.json").exists():
        state = read_checkpoint(checkpoint)
        search.load_state_dict(state["search"])
        kept = state["kept"]
    origin = describe_origin("python benchmarks/hopper_zoo.py")
    while problem.env_steps < STOPPING_POINTS[-1]:
        search.step()
        if len(kept) < np.searchsorted(STOPPING_POINTS, problem.env_steps, side="right"):
            kept[str(len(kept))] = _snapshot(problem, search)
        if search.step_count % CHECKPOINT_EVERY == 0:
            state = {"search": search.state_dict(), "kept": kept}
            write_checkpoint(checkpoint, state, number=search.step_count)
    tensors = {f"{i}.{name}": value for i, entry in kept.items() for name, value in entry.items()}
    write_tensors(folder / f"{run.name}.safetensors", tensors)
    write_json(folder / f"{run.name}.json", {**origin, "settings": run._asdict()})


def _search(run: Planned) -> tuple[PolicyProblem, ES]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = SPEC.build()
    problem = PolicyProblem(ENV, network, seed=run.seed, alive_bonus=run.alive_bonus)
    search = ES(
        problem,
        popsize=run.popsize,
        stdev_init=run.stdev,
        center_learning_rate=run.learning_rate,
        optimizer="adam",
        ranking_method="std",
        center_init=parameters_to_vector(network.parameters()).detach(),
        seed=run.seed,
    )
    return problem, search


def _snapshot(problem: PolicyProblem, search: ES) -> dict[str, torch.Tensor]:
    """Return the centre, the statistics of observations it acts on, and the steps so far."""
    normalizer = problem.normalizer
    assert normalizer is not None
    return {
        "weights": search.center_solution(),
        "observation_mean": torch.from_numpy(normalizer.mean),
        "observation_std": torch.from_numpy(normalizer.std),
        "env_steps": torch.tensor(problem.env_steps),
    }


def main() -> None:
    """List or train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="*", help="only these runs")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for run in planned_runs():
        is_done = (FOLDER / f"{run.name}.json").exists()
        if args.seeds and run.seed not in args.seeds:
            continue
        print(run, "done" if is_done else "", flush=True)
        if not args.list and not is_done:
            train(run, FOLDER)


if __name__ == "__main__":
    main()
