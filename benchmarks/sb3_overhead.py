"""Environment steps per second of Stable-Baselines3 with structured and with dense policies.

    python benchmarks/sb3_overhead.py

PPO and SAC on Pendulum-v1 with two hidden layers of 64 and Stable-Baselines3's own settings, one
thread. Every structure is on the actor, as by default. All models train in turns, a slice of
environment steps each, so that they share what else the machine does; the overhead is the median
over the rounds of the time of a structured slice over that of the dense one in the same round,
less 1. Writes benchmarks/results/sb3_overhead.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from machine import PACKAGES, RESULTS, describe_origin
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

import structured_layers.integrations.sb3  # noqa: F401  (registers the policies)
from structured_layers.files import write_json

STRUCTURES: dict[str, dict[str, Any] | None] = {
    "dense": None,
    "toeplitz": {"layer": "toeplitz"},
    "chromatic, learned": {"layer": "chromatic", "num_colors": 17, "learn_colors": True},
    "masked, learned": {"layer": "masked", "num_edges": 64, "learn_mask": True},
}
ENV, NET_ARCH, ALLOWED = "Pendulum-v1", [64, 64], 0.10
ALGORITHMS: dict[str, tuple[type[BaseAlgorithm], dict[str, Any], int]] = {
    "PPO": (PPO, {}, 2048),  # one rollout and its ten epochs
    "SAC": (SAC, {"learning_starts": 100, "buffer_size": 20_000}, 250),
}


def main() -> None:
    """Measure everything side by side and write the record."""
    parser = argparse.ArgumentParser(description="Steps per second, structured against dense.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--algorithms", nargs="+", choices=list(ALGORITHMS), default=["PPO", "SAC"])
    parser.add_argument("--out", type=Path, default=RESULTS / "sb3_overhead.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    origin = describe_origin(
        "python benchmarks/sb3_overhead.py",
        (*(p for p in PACKAGES if p not in ("evotorch", "ray", "mujoco")), "stable-baselines3"),
    )
    measured = {name: measure(name, args.rounds) for name in args.algorithms}
    record = {
        **origin,
        "setting": f"{ENV}, net_arch {NET_ARCH}, actor structured, one thread",
        "allowed_overhead": ALLOWED,
        "algorithms": measured,
    }
    write_json(args.out, record)
    print(json.dumps(measured, indent=2))


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Train all models of an algorithm in turns and return their speeds and overheads."""
    steps = ALGORITHMS[name][2]
    models = {kind: make_model(name, structure) for kind, structure in STRUCTURES.items()}
    for model in models.values():
        seconds(model, 2 * steps)  # first calls, and SAC's random steps
    times: dict[str, list[float]] = {kind: [] for kind in models}
    kinds = list(models)
    for number in range(rounds):
        shift = number % len(kinds)  # nobody is always the first of a round
        for kind in kinds[shift:] + kinds[:shift]:
            times[kind].append(seconds(models[kind], steps))
    return {
        kind: {
            "steps_per_second": steps / statistics.median(found),
            "overhead": statistics.median(
                mine / dense for mine, dense in zip(found, times["dense"], strict=True)
            )
            - 1,
        }
        for kind, found in times.items()
    }


def make_model(name: str, structure: dict[str, Any] | None) -> BaseAlgorithm:
    """Build a model; without a structure it is Stable-Baselines3's own."""
    cls, keywords, _ = ALGORITHMS[name]
    policy = "MlpPolicy" if structure is None else "StructuredMlpPolicy"
    own = {} if structure is None else {"structure": structure}
    kwargs = {"net_arch": NET_ARCH, **own}
    return cls(policy, ENV, policy_kwargs=kwargs, seed=0, device="cpu", **keywords)


def seconds(model: BaseAlgorithm, steps: int) -> float:
    """Train for some environment steps and return the time."""
    start = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
