"""The hyperparameter file for RL Baselines3 Zoo: plain values that PPO's policies take."""

import pytest
import yaml
from markdown_blocks import ROOT
from stable_baselines3 import PPO

from structured_layers import StructuredLinear
from structured_layers.integrations.sb3 import deployed_layers

SETTINGS = yaml.safe_load((ROOT / "examples" / "rl_zoo3" / "ppo.yml").read_text())


@pytest.mark.parametrize("env", SETTINGS)
def test_settings_build_a_compact_model(env: str) -> None:
    settings = {k: v for k, v in SETTINGS[env].items() if k not in ("n_envs", "n_timesteps")}
    # The file is for several environments; one needs smaller batches to divide its rollout.
    model = PPO(env=env, device="cpu", **{**settings, "n_steps": 64, "batch_size": 32})
    layers = deployed_layers(model.policy)
    assert len(layers) == 3
    assert all(isinstance(layer, StructuredLinear) for layer in layers.values())
    assert model.policy.structure == settings["policy_kwargs"]["structure"]
