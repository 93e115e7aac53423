"""Train a Stable-Baselines3 policy, dense or structured, and keep it as a record.

    python benchmarks/sb3_run.py halfcheetah-dense-seed0 halfcheetah
    python benchmarks/sb3_run.py halfcheetah-4-colors-seed0 halfcheetah \
        --structure '{"layer": "chromatic", "num_colors": 4, "learn_colors": true}'
    python benchmarks/sb3_run.py halfcheetah-64-edges-seed0 halfcheetah-start \
        --structure '{"layer": "masked"}' --prune-to 64 --total-steps 6000000

A record under benchmarks/results/sb3/ holds the command, the commit, versions, the machine, the
seed, steps, wall time, the curve, the trained model (Stable-Baselines3's own files) and its return
over fresh episodes.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch
from machine import PACKAGES, RESULTS, describe_origin
from sb3_settings import TASKS, Task
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from structured_layers.files import write_json
from structured_layers.integrations.sb3 import PruningScheduleCallback
from structured_layers.integrations.sb3.sweep import deployed_size

ALGORITHMS = {"ppo": PPO, "sac": SAC}
SB3_PACKAGES = (*(p for p in PACKAGES if p not in ("evotorch", "ray")), "stable-baselines3")
FRESH_SEED = 1_000_000  # of evaluations; training takes small ones


class Curve(BaseCallback):
    """Evaluates the deterministic policy from time to time and remembers the returns."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.rows: list[tuple[int, float, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps // self.task.eval_every > self._evaluations():
            returns = evaluate(self.model, self.task, self.task.num_eval_episodes, FRESH_SEED - 1)
            mean, std = mean_and_std(returns)
            self.rows.append((self.num_timesteps, mean, std))
            print(f"{self.num_timesteps:>9,} steps  return {mean:,.1f} ± {std:,.1f}", flush=True)

    def _evaluations(self) -> int:
        return self.rows[-1][0] // self.task.eval_every if self.rows else 0


def main() -> int:
    """Train, evaluate and write the record."""
    parser = argparse.ArgumentParser(description="Train an SB3 policy and keep it as a record.")
    parser.add_argument("name", help="folder of the record under benchmarks/results/sb3/")
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--structure", type=json.loads, help="policy_kwargs' structure, as JSON")
    parser.add_argument("--net-arch", type=json.loads, help="hidden sizes, as JSON")
    parser.add_argument("--total-steps", type=int, help="instead of the task's own")
    parser.add_argument("--prune-to", type=int, help="edges of a masked actor that are left")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-episodes", type=int, default=100, help="of the last evaluation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = TASKS[args.task]
    total_steps = args.total_steps or task.total_steps
    start = describe_origin(
        shlex.join(["python", "benchmarks/sb3_run.py", *sys.argv[1:]]), SB3_PACKAGES
    )
    model, curve = make_model(task, args.structure, args.net_arch, args.seed), Curve(task)
    callbacks: list[BaseCallback] = [curve]
    if args.prune_to is not None:
        callbacks.append(pruning_to(args.prune_to, total_steps))
    began = time.perf_counter()
    model.learn(total_steps, callback=callbacks)
    record = {
        **start,
        "task": args.task,
        "env": task.env,
        "algo": task.algo,
        "structure": args.structure,
        "net_arch": args.net_arch or keywords_of(task).get("policy_kwargs", {}).get("net_arch"),
        "seed": args.seed,
        "env_steps": model.num_timesteps,
        "training_seconds": round(time.perf_counter() - began, 1),
    }
    returns = evaluate(model, task, args.num_episodes, FRESH_SEED)
    write_record(RESULTS / "sb3" / args.name, model, curve, {**record, **statistics_of(returns)})
    return 0


def make_model(
    task: Task, structure: dict[str, Any] | None, net_arch: list[int] | None, seed: int
) -> BaseAlgorithm:
    """Build the model with its environments."""
    keywords = keywords_of(task)
    policy_kwargs = dict(keywords.pop("policy_kwargs", {}))
    policy = "MlpPolicy"
    if net_arch is not None:
        policy_kwargs["net_arch"] = net_arch
    if structure is not None:
        policy, policy_kwargs["structure"] = "StructuredMlpPolicy", structure
    env = make_env(task, seed)
    cls = ALGORITHMS[task.algo]
    return cls(policy, env, policy_kwargs=policy_kwargs, seed=seed, device="cpu", **keywords)


def pruning_to(num_edges: int, total_steps: int) -> PruningScheduleCallback:
    """Return a callback that prunes in the second and third quarter of the training."""
    quarter = total_steps // 4
    return PruningScheduleCallback(
        num_edges=num_edges, start=quarter, end=3 * quarter, frequency=quarter // 50
    )


def make_env(task: Task, seed: int) -> VecEnv:
    """Build the environments of the training."""
    env = make_vec_env(task.env, n_envs=task.num_envs, seed=seed)
    gamma = task.keywords.get("gamma", 0.99)
    return VecNormalize(env, gamma=gamma) if task.normalize else env


def keywords_of(task: Task) -> dict[str, Any]:
    """Return the algorithm's arguments, the schedule of the learning rate among them."""
    keywords = dict(task.keywords)
    if task.learning_rate_ends_at is not None:
        first, last = keywords["learning_rate"], task.learning_rate_ends_at
        keywords["learning_rate"] = lambda left: last + (first - last) * left
    return keywords


def evaluate(model: BaseAlgorithm, task: Task, num_episodes: int, seed: int) -> list[float]:
    """Return the returns of the deterministic policy; the normaliser stays as it is."""
    env: VecEnv = make_vec_env(task.env, n_envs=min(8, num_episodes), seed=seed)
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        env = VecNormalize(env, training=False, norm_reward=False)
        env.obs_rms = normalizer.obs_rms
    returns, _ = evaluate_policy(
        model, env, n_eval_episodes=num_episodes, return_episode_rewards=True, warn=False
    )
    env.close()
    return list(returns)


def mean_and_std(returns: list[float]) -> tuple[float, float]:
    values = torch.tensor(returns, dtype=torch.float64)
    return float(values.mean()), float(values.std(correction=0))


def statistics_of(returns: list[float]) -> dict[str, float]:
    mean, std = mean_and_std(returns)
    return {
        "num_episodes": len(returns),
        "return_mean": mean,
        "return_std": std,
        "return_min": min(returns),
        "return_max": max(returns),
    }


def write_record(folder: Path, model: BaseAlgorithm, curve: Curve, record: dict[str, Any]) -> None:
    """Write the model, the curve and the record."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.zip", exclude=["replay_buffer"])
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        normalizer.save(str(folder / "vecnormalize.pkl"))
    lines = [
        "env_steps,return_mean,return_std",
        *(f"{s},{m:.3f},{d:.3f}" for s, m, d in curve.rows),
    ]
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")
    record |= size_of(model)
    write_json(folder / "record.json", record)
    print(json.dumps(record, indent=2))


def size_of(model: BaseAlgorithm) -> dict[str, Any]:
    """Return the fields of a record that say how large the deployed actor is."""
    size = deployed_size(model.policy)
    return {"weights": size.weights, "biases": size.biases, "bits": size.bits}


def rewrite_sizes(folder: Path) -> None:
    """Count the model of a record again: ``rewrite_sizes(RESULTS / "sb3" / name)``, by hand."""
    record = json.loads((folder / "record.json").read_text())
    model = ALGORITHMS[record["algo"]].load(folder / "model.zip", device="cpu")
    record.pop("policy_weights", None)  # what the first records had instead
    write_json(folder / "record.json", record | size_of(model))


if __name__ == "__main__":
    sys.exit(main())
