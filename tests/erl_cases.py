"""Small learners for the tests of ERL and CERL."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from structured_layers import mlp
from structured_layers.algorithms.latent import NetworkAutoencoder, WeightAutoencoder
from structured_layers.integrations.sb3.erl import ERL

LEARNERS = {"TD3": TD3, "SAC": SAC, "DDPG": DDPG}
SMALL: dict[str, Any] = {
    "learning_starts": 8,
    "buffer_size": 2_000,
    "batch_size": 4,
    "train_freq": 4,
    "gradient_steps": 1,
    "device": "cpu",
}
STEPS = 10
"""Of an episode."""


def pendulum() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("Pendulum-v1", max_episode_steps=STEPS)


def small_learner(name: str = "TD3", env: Any = None, seed: int = 0, **changes: Any) -> Any:
    """Return a learner whose actor has four hidden units."""
    policy_kwargs = {"net_arch": [4], "activation_fn": nn.Tanh, **changes.pop("policy_kwargs", {})}
    settings = {**SMALL, "policy_kwargs": policy_kwargs, "seed": seed, **changes}
    policy = "StructuredMlpPolicy" if "structure" in policy_kwargs else "MlpPolicy"
    return LEARNERS[name](policy, env or pendulum(), **settings)


def small_erl(model: Any = None, **keywords: Any) -> ERL:
    """Return a learner with three actors beside it."""
    settings: dict[str, Any] = {"population_size": 3, "steps_per_generation": 8, **keywords}
    return ERL(model or small_learner(), **settings)


def normalized_env() -> VecNormalize:
    """Return Pendulum behind a normaliser whose statistics are far from none."""
    env = VecNormalize(DummyVecEnv([pendulum]), norm_reward=True)
    env.obs_rms.mean, env.obs_rms.var = np.array([0.1, -0.2, 0.3]), np.array([0.5, 0.6, 9.0])
    return env


def small_autoencoder() -> NetworkAutoencoder:
    """Return an untrained autoencoder of both layers."""
    coders = {"0": WeightAutoencoder(4, 3, 2), "2": WeightAutoencoder(1, 4, 2)}
    return NetworkAutoencoder(coders, mlp(3, [4], 1))
