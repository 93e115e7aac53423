"""ERL and CERL against plain TD3: Hopper-v5, 200,000 steps of the learners, actors of 32 units.

    python benchmarks/erl.py --list
    python benchmarks/erl.py --only td3 --seeds 0 1
    python benchmarks/erl.py --only cerl-latent --autoencoder runs/autoencoder

Every 10,000 steps of the learners, a run is evaluated over 10 episodes and saved. One that was
interrupted goes on from there, one whose record exists is left alone. A record holds the curve,
wall time, the share of the evolutionary side, and the return of the trained policy over 100 fresh
episodes; benchmarks/erl_tables.py makes the page of them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from erl_learners import CRITIC, ENV, HIDDEN
from erl_methods import METHODS, Trained
from folder_digest import folder_digest
from machine import PACKAGES, RESULTS, ROOT, describe_origin
from planned_records import open_runs

from structured_layers.files import write_json
from structured_layers.integrations.evotorch.evaluation import evaluate_policy
from structured_layers.policy import Policy

GROUP = RESULTS / "erl"
RUNS = ROOT / "runs" / "erl"
TOTAL_STEPS, NUM_EPISODES = 200_000, 100
EVALUATE_EVERY = 10_000
FRESH_SEED = 1_000_000  # of evaluations; training takes small ones


def main() -> None:
    """List or train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--total-steps", type=int, default=TOTAL_STEPS)
    parser.add_argument("--autoencoder", type=Path, help="folder of a NetworkAutoencoder")
    parser.add_argument(
        "--num-episodes", type=int, default=NUM_EPISODES, help="of the last evaluation"
    )
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name, method, seed in open_runs(GROUP, args.only, args.seeds):
        if not args.list:
            run(name, method, seed, args)


def run(name: str, method: str, seed: int, args: argparse.Namespace) -> None:
    """Train a run, from where it was saved if it was, and write its record."""
    folder = RUNS / name
    trained = METHODS[method](seed, args.autoencoder)
    progress = _resume(trained, folder, _origin(method, seed, args))
    while (left := args.total_steps - trained.learner_steps) > 0:
        began = time.perf_counter()
        trained.learn(min(EVALUATE_EVERY, left))
        progress["training_seconds"] += time.perf_counter() - began
        returns = _returns(trained.policies(), 10, FRESH_SEED + trained.learner_steps)
        row = {**trained.counts(), "seconds": progress["training_seconds"], "returns": returns}
        progress["curve"].append(row)
        print(f"{name} {row}", flush=True)
        _save(trained, folder, progress)
    _write_record(GROUP / name, trained, progress)


def _origin(method: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return what a record says of where it comes from."""
    command = f"python benchmarks/erl.py --only {method} --seeds {seed}"
    autoencoder = args.autoencoder if method.endswith("latent") else None
    if autoencoder is not None:
        command += f" --autoencoder {autoencoder}"
    if args.total_steps != TOTAL_STEPS:
        command += f" --total-steps {args.total_steps}"
    if args.num_episodes != NUM_EPISODES:
        command += f" --num-episodes {args.num_episodes}"
    return {
        **describe_origin(command, (*PACKAGES, "stable-baselines3")),
        "total_steps": args.total_steps,
        "num_episodes": args.num_episodes,
        "autoencoder": folder_digest(autoencoder),
    }


def _resume(trained: Trained, folder: Path, origin: dict[str, Any]) -> dict[str, Any]:
    """Return the progress of a run, and take up what was saved of it."""
    if not (folder / "progress.json").exists():
        return {**origin, "curve": [], "training_seconds": 0.0, "saved": ""}
    progress: dict[str, Any] = json.loads((folder / "progress.json").read_text())
    for name in ("total_steps", "num_episodes", "autoencoder"):
        if progress[name] != origin[name]:
            raise SystemExit(f"{folder} is a run with another {name}; remove it, or go on with its")
    trained.load(folder / progress["saved"])
    return progress


def _save(trained: Trained, folder: Path, progress: dict[str, Any]) -> None:
    """Save into one of two folders in turn, so that one of them is always whole."""
    progress["saved"] = "even" if progress["saved"] == "odd" else "odd"
    trained.save(folder / progress["saved"])
    write_json(folder / "progress.json", progress)


def _returns(policies: dict[str, Policy], num_episodes: int, seed: int) -> dict[str, float]:
    """Return the mean return of each policy, all over the same episodes."""
    return {
        name: float(evaluate_policy(policy, ENV, num_episodes=num_episodes, seed=seed).mean())
        for name, policy in policies.items()
    }


def _write_record(folder: Path, trained: Trained, progress: dict[str, Any]) -> None:
    """Keep the policy that did best in the last evaluation, and its return over fresh episodes."""
    folder.mkdir(parents=True, exist_ok=True)
    last = progress["curve"][-1]
    chosen = max(last["returns"], key=last["returns"].get)
    policies = trained.policies()
    policies[chosen].save(folder / "policy")
    finals = {
        name: evaluate_policy(
            policy, ENV, num_episodes=progress["num_episodes"], seed=FRESH_SEED - 1
        )
        for name, policy in policies.items()
    }
    record = {
        **{key: value for key, value in progress.items() if key != "saved"},
        **trained.settings(),
        "env": ENV,
        "actor": HIDDEN,
        "critic": CRITIC,
        "seed": trained.seed,
        "chosen": chosen,
        "return_mean": float(finals[chosen].mean()),
        "return_std": float(finals[chosen].std()),
        "final_returns": {name: float(values.mean()) for name, values in finals.items()},
    }
    write_json(folder / "record.json", record)
    print(f"{folder.name}: {record['return_mean']:.0f} ± {record['return_std']:.0f} ({chosen})")


if __name__ == "__main__":
    main()
