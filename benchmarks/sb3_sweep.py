"""Compress a recorded Stable-Baselines3 model to every structure and keep the sweep as a record.

    python benchmarks/sb3_sweep.py halfcheetah-sweep halfcheetah-long-dense-seed0
    python benchmarks/sb3_sweep.py halfcheetah-fixed-colors halfcheetah-long-dense-seed0 \
        --structures '[{"layer": "chromatic", "num_colors": 3, "learn_colors": false}]'

The first name is the folder of the sweep under benchmarks/results/sb3/, the second one that of the
model. Every row is fine-tuned for a fifth of the model's own steps, the dense one too. A sweep that
was interrupted goes on when the same line is given again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time

import torch
from machine import RESULTS, describe_origin
from sb3_run import ALGORITHMS, SB3_PACKAGES
from sb3_settings import TASKS
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from structured_layers.files import write_json
from structured_layers.integrations.sb3 import compress_sweep

SHARE_OF_STEPS = 0.2


def main() -> int:
    """Run the sweep and write its record."""
    parser = argparse.ArgumentParser(description="Sweep the structures of a recorded model.")
    parser.add_argument("name", help="folder of the sweep under benchmarks/results/sb3/")
    parser.add_argument("model", help="folder of the model there")
    parser.add_argument("--structures", type=json.loads, help="instead of the usual ones, as JSON")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="of the fine-tuning")
    parser.add_argument("--num-episodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    command = shlex.join(["python", "benchmarks/sb3_sweep.py", *sys.argv[1:]])
    origin = describe_origin(command, SB3_PACKAGES)
    source, folder = RESULTS / "sb3" / args.model, RESULTS / "sb3" / args.name
    record = json.loads((source / "record.json").read_text())
    task = TASKS[record["task"]]
    env: VecEnv = make_vec_env(task.env, n_envs=task.num_envs, seed=args.seed)
    if task.normalize:
        env = VecNormalize.load(str(source / "vecnormalize.pkl"), env)
    model = ALGORITHMS[task.algo].load(source / "model.zip", env=env, device="cpu")
    began = time.perf_counter()
    sweep = compress_sweep(
        model,
        args.structures,
        out=folder,
        on_row=lambda row: print(f"{row.name}: {row.distilled}, {row.last}", flush=True),
        fine_tune_steps=round(SHARE_OF_STEPS * record["env_steps"]),
        learning_rate=args.learning_rate,
        num_episodes=args.num_episodes,
        projection=True,
        seed=args.seed,
    )
    write_json(
        folder / "origin.json",
        {
            **origin,
            "model": args.model,
            "env": task.env,
            "seconds": round(time.perf_counter() - began, 1),
        },
    )
    print(sweep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
