"""Train a compact policy with Stable-Baselines3's PPO, and save and load it.

    python examples/sb3_ppo.py --layer chromatic --num-colors 17

The one difference to a usual script is the policy's name and the structure in ``policy_kwargs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from torch import nn

import structured_layers.integrations.sb3  # noqa: F401  (makes StructuredMlpPolicy known)
from structured_layers import summarize
from structured_layers.integrations.sb3 import deployed_layers


@dataclass(frozen=True)
class Args:
    """Settings of the training."""

    env: str = "CartPole-v1"
    """A Gymnasium id."""
    layer: Literal["toeplitz", "chromatic", "masked"] = "chromatic"
    """Structure of the actor; colours and masks are learned."""
    num_colors: int = 17
    """Weights that all layers of a chromatic actor share."""
    num_edges: int = 64
    """Edges that a masked actor keeps."""
    hidden: int = 64
    """Units of each of the two hidden layers."""
    total_steps: int = 100_000
    """Environment steps of the training."""
    num_envs: int = 8
    """Environments that run beside each other."""
    n_steps: int = 32
    """Steps in each environment between updates."""
    episodes: int = 20
    """Episodes of the evaluation at the end."""
    seed: int = 0
    """Of the training."""
    out: Path = Path("sb3_ppo.zip")
    """Where the model is saved."""


def structure_of(args: Args) -> dict[str, Any]:
    """Return the structure, plain values that a YAML file could hold as well."""
    keywords: dict[str, dict[str, Any]] = {
        "toeplitz": {},
        "chromatic": {"num_colors": args.num_colors, "learn_colors": True},
        "masked": {"num_edges": args.num_edges, "learn_mask": True},
    }
    return {"layer": args.layer, "target": "actor", **keywords[args.layer]}


def main(args: Args) -> None:
    """Train, save, load, evaluate."""
    model = PPO(
        "StructuredMlpPolicy",
        make_vec_env(args.env, n_envs=args.num_envs, seed=args.seed),
        policy_kwargs={"structure": structure_of(args), "net_arch": [args.hidden, args.hidden]},
        n_steps=args.n_steps,
        batch_size=args.n_steps * args.num_envs,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=1e-3,
        seed=args.seed,
        device="cpu",
    )
    model.learn(args.total_steps)
    model.save(args.out)

    model = PPO.load(args.out, device="cpu")
    env = make_vec_env(args.env, seed=args.seed + 1_000)
    mean, std = evaluate_policy(model, env, n_eval_episodes=args.episodes)
    actor = summarize(nn.ModuleList(deployed_layers(model.policy).values()))
    print(f"{args.env}: return {mean:.1f} ± {std:.1f} with {actor.weights:,} weights in the actor")


if __name__ == "__main__":
    main(tyro.cli(Args))
