"""The learner that all runs of benchmarks/erl.py share: TD3 on Hopper-v5 with a small actor."""

from __future__ import annotations

from typing import Any

import numpy as np
from hopper_normalizer import MEAN, STD
from stable_baselines3 import TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

ENV = "Hopper-v5"
HIDDEN = [32]
CRITIC = [128, 128]
NOISE = 0.1
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "buffer_size": 1_000_000,
    "learning_starts": 5_000,
    "batch_size": 256,
    "gamma": 0.99,
    "policy_kwargs": {"net_arch": {"pi": HIDDEN, "qf": CRITIC}, "activation_fn": nn.Tanh},
}


class TanhActorPolicy(TD3Policy):
    """An actor of the activation that was asked for, beside critics of ReLU units."""

    def make_critic(self, *args: Any, **keywords: Any) -> Any:
        """Build the critics."""
        self.critic_kwargs["activation_fn"] = nn.ReLU
        return super().make_critic(*args, **keywords)


def make_env(seed: int) -> VecNormalize:
    """Build the environment, observations normalised by fixed statistics."""
    env = VecNormalize(make_vec_env(ENV, seed=seed), training=False, norm_reward=False)
    env.obs_rms.mean = np.array(MEAN)
    env.obs_rms.var = np.square(STD) - env.epsilon  # under the root, VecNormalize adds it again
    return env


def make_td3(seed: int, **changes: Any) -> TD3:
    """Build a learner; ``changes`` replace single settings."""
    noise = NormalActionNoise(np.zeros(3), NOISE * np.ones(3))
    settings = {**SETTINGS, **changes}
    return TD3(
        TanhActorPolicy, make_env(seed), action_noise=noise, seed=seed, device="cpu", **settings
    )
