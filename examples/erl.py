"""Evolve a population of actors beside Stable-Baselines3's TD3, and save its best actor.

    python examples/erl.py --env Hopper-v5 --layer toeplitz

All that the population sees goes into TD3's replay buffer, and TD3's actor is copied into the
population. What comes out decides with NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import tyro
from stable_baselines3 import TD3
from stable_baselines3.common.noise import NormalActionNoise

import structured_layers.integrations.sb3  # noqa: F401  (makes StructuredMlpPolicy known)
from structured_layers.integrations.evotorch.evaluation import evaluate_policy
from structured_layers.integrations.sb3.erl import ERL


@dataclass(frozen=True)
class Args:
    """Settings of the training."""

    env: str = "Hopper-v5"
    """A Gymnasium id with continuous actions."""
    layer: Literal["dense", "toeplitz"] = "dense"
    """Layers of the actors, TD3's and the population's."""
    hidden: int = 32
    """Units of the actors' hidden layer."""
    total_steps: int = 200_000
    """Environment steps of TD3; those of the population come on top."""
    population_size: int = 10
    """Actors that are evolved."""
    episodes: int = 20
    """Episodes of the evaluation at the end."""
    episode_length: int = 1000
    """Steps of an episode at most."""
    seed: int = 0
    """Of the training."""
    out: Path = Path("erl_policy")
    """Folder of the policy."""


def make_learner(args: Args) -> TD3:
    """Build the learner; the critics stay dense."""
    env = gymnasium.make(args.env, max_episode_steps=args.episode_length)
    policy, policy_kwargs = "MlpPolicy", {"net_arch": {"pi": [args.hidden], "qf": [128, 128]}}
    if args.layer != "dense":
        policy = "StructuredMlpPolicy"
        structure: dict[str, Any] = {"layer": args.layer, "target": "actor"}
        policy_kwargs["structure"] = structure
    shape = env.action_space.shape  # () for discrete actions, which TD3 refuses by their name
    noise = NormalActionNoise(np.zeros(shape), 0.1 * np.ones(shape))
    return TD3(policy, env, policy_kwargs=policy_kwargs, action_noise=noise, seed=args.seed)


def main(args: Args) -> None:
    """Train, evaluate learner and elite, and save the elite."""
    erl = ERL(make_learner(args), population_size=args.population_size)
    erl.learn(args.total_steps)
    policies = {"learner": erl.learner_policy(), "elite": erl.elite_policy()}
    for name, policy in policies.items():
        returns = evaluate_policy(
            policy, num_episodes=args.episodes, episode_length=args.episode_length
        )
        print(f"{name}: return {returns.mean():.1f} ± {returns.std():.1f}")
    print(
        f"{erl.num_timesteps:,} steps of the learner, {erl.population.env_steps:,} of the "
        f"population, which took {erl.evolution_share:.0%} of the time"
    )
    policies["elite"].save(args.out)
    print(f"the population's best actor: {args.out}")


if __name__ == "__main__":
    main(tyro.cli(Args))
