"""The tasks of the Stable-Baselines3 records: environment, algorithm, hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """One environment with an algorithm and settings that solve it with a dense policy.

    Attributes:
        env: a Gymnasium id.
        algo: name of the algorithm, in lower case.
        total_steps: environment steps of a run.
        num_envs: environments that run beside each other.
        normalize: whether VecNormalize stands around them.
        keywords: arguments of the algorithm, ``policy_kwargs`` among them.
        learning_rate_ends_at: what the learning rate falls to, linearly; None keeps it.
        eval_every: environment steps between evaluations.
        num_eval_episodes: episodes of each of these.
    """

    env: str
    algo: str
    total_steps: int
    num_envs: int = 1
    normalize: bool = False
    keywords: dict[str, Any] = field(default_factory=dict)
    learning_rate_ends_at: float | None = None
    eval_every: int = 50_000
    num_eval_episodes: int = 5


HALFCHEETAH: dict[str, Any] = {
    "n_steps": 512,
    "batch_size": 256,
    "gamma": 0.98,
    "gae_lambda": 0.92,
    "learning_rate": 3e-4,
    "policy_kwargs": {"log_std_init": -1.0, "net_arch": [64, 64]},
}

TASKS = {
    "halfcheetah": Task(
        env="HalfCheetah-v5",
        algo="ppo",
        total_steps=1_000_000,
        num_envs=4,
        normalize=True,
        keywords=HALFCHEETAH,
        learning_rate_ends_at=3e-5,
        eval_every=100_000,
    ),
    "halfcheetah-long": Task(
        env="HalfCheetah-v5",
        algo="ppo",
        total_steps=3_000_000,
        num_envs=4,
        normalize=True,
        keywords=HALFCHEETAH,
        learning_rate_ends_at=3e-5,
        eval_every=100_000,
    ),
    "halfcheetah-start": Task(  # where the search for few weights starts: an actor of one layer
        env="HalfCheetah-v5",
        algo="ppo",
        total_steps=3_000_000,
        num_envs=4,
        normalize=True,
        keywords={
            **HALFCHEETAH,
            "policy_kwargs": {"log_std_init": -1.0, "net_arch": {"pi": [32], "vf": [64, 64]}},
        },
        learning_rate_ends_at=3e-5,
        eval_every=100_000,
    ),
    "cartpole": Task(
        env="CartPole-v1",
        algo="ppo",
        total_steps=100_000,
        num_envs=8,
        keywords={"n_steps": 256, "batch_size": 64, "learning_rate": 3e-4},
        learning_rate_ends_at=3e-5,
        eval_every=5_000,
        num_eval_episodes=20,
    ),
    "pendulum": Task(
        env="Pendulum-v1",
        algo="ppo",
        total_steps=200_000,
        num_envs=4,
        keywords={
            "n_steps": 1024,
            "batch_size": 64,
            "gae_lambda": 0.95,
            "gamma": 0.9,
            "n_epochs": 10,
            "learning_rate": 1e-3,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
        eval_every=20_000,
        num_eval_episodes=20,
    ),
    "mountaincar": Task(
        env="MountainCarContinuous-v0",
        algo="sac",
        total_steps=50_000,
        keywords={
            "learning_rate": 3e-4,
            "buffer_size": 50_000,
            "batch_size": 512,
            "train_freq": 32,
            "gradient_steps": 32,
            "gamma": 0.9999,
            "tau": 0.01,
            "ent_coef": 0.1,
            "use_sde": True,
            "policy_kwargs": {"log_std_init": -3.67, "net_arch": [64, 64]},
        },
        eval_every=5_000,
        num_eval_episodes=20,
    ),
}
