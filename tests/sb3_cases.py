"""Every algorithm of Stable-Baselines3 and sb3-contrib with the smallest of settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

import structured_layers.integrations.sb3  # noqa: F401  (registers the policies)

ON_POLICY = {"n_steps": 32, "batch_size": 16}
REPLAY = {"learning_starts": 20, "buffer_size": 400, "batch_size": 16}
QUICK_STEPS, FULL_STEPS = 96, 2_000

STRUCTURES: dict[str, dict[str, Any]] = {
    "toeplitz": {"layer": "toeplitz"},
    "chromatic": {"layer": "chromatic", "num_colors": 17, "learn_colors": True},
    "masked": {"layer": "masked", "num_edges": 30, "learn_mask": True},
}


@dataclass(frozen=True)
class Case:
    """One algorithm: where it comes from, what it is trained on, and its settings."""

    package: Any
    env: str
    policy: str = "StructuredMlpPolicy"
    keywords: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)


CASES = {
    "PPO": Case(stable_baselines3, "CartPole-v1", keywords={**ON_POLICY, "n_epochs": 2}),
    "A2C": Case(stable_baselines3, "CartPole-v1"),
    "SAC": Case(stable_baselines3, "Pendulum-v1", keywords={**REPLAY, "train_freq": 2}),
    "TD3": Case(stable_baselines3, "Pendulum-v1", keywords={**REPLAY, "train_freq": 2}),
    "DDPG": Case(stable_baselines3, "Pendulum-v1", keywords={**REPLAY, "train_freq": 2}),
    "DQN": Case(
        stable_baselines3, "CartPole-v1", keywords={**REPLAY, "target_update_interval": 50}
    ),
    "TQC": Case(
        sb3_contrib,
        "Pendulum-v1",
        keywords={**REPLAY, "train_freq": 4},
        policy_kwargs={"n_quantiles": 3},
    ),
    "TRPO": Case(sb3_contrib, "CartPole-v1", keywords={**ON_POLICY, "n_critic_updates": 2}),
    "CrossQ": Case(sb3_contrib, "Pendulum-v1", keywords={**REPLAY, "train_freq": 4}),
    "QRDQN": Case(
        sb3_contrib,
        "CartPole-v1",
        keywords={**REPLAY, "target_update_interval": 50},
        policy_kwargs={"n_quantiles": 5},
    ),
    "RecurrentPPO": Case(
        sb3_contrib,
        "CartPole-v1",
        "StructuredMlpLstmPolicy",
        keywords={**ON_POLICY, "n_epochs": 1},
        policy_kwargs={"lstm_hidden_size": 4},
    ),
    "MaskablePPO": Case(sb3_contrib, "masked", keywords={**ON_POLICY, "n_epochs": 2}),
    "ARS": Case(
        sb3_contrib,
        "Pendulum-v1",  # its returns differ, and ARS learns from nothing but differences
        keywords={"n_delta": 2, "zero_policy": False},
    ),
}


def make_env(case: Case) -> gymnasium.Env[Any, Any]:
    if case.env == "masked":
        return InvalidActionEnvDiscrete(dim=12, n_invalid_actions=4)
    return gymnasium.make(case.env)


def make_model(
    name: str, structure: Any = None, policy: str | None = None, **policy_kwargs: Any
) -> BaseAlgorithm:
    """Build the model of an algorithm with a hidden layer of 8 and a structure."""
    case = CASES[name]
    kwargs = {"net_arch": [8], **case.policy_kwargs, **policy_kwargs}
    if structure is not None:
        kwargs["structure"] = structure
    return algorithm(name)(
        policy or case.policy,
        make_env(case),
        policy_kwargs=kwargs,
        seed=0,
        device="cpu",
        **case.keywords,
    )


def algorithm(name: str) -> type[BaseAlgorithm]:
    return getattr(CASES[name].package, name)


def observations(model: BaseAlgorithm, count: int = 5) -> np.ndarray:
    model.observation_space.seed(1)
    sampled = [model.observation_space.sample() for _ in range(count)]
    return np.clip(np.stack(sampled), -3, 3)


def actions(model: BaseAlgorithm) -> np.ndarray:
    """Return deterministic actions, and what they are the largest of, on fixed observations."""
    return model.predict(observations(model), deterministic=True)[0]


def named_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in module.state_dict().items():
        yield name, tensor.clone()
