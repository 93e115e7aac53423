"""What ERL and CERL refuse, and how."""

from __future__ import annotations

from pathlib import Path

import pytest
from erl_cases import pendulum, small_autoencoder, small_erl, small_learner
from stable_baselines3 import PPO, TD3, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack
from torch import nn

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.erl import ERL


def test_learners_that_cannot_share_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="replay buffer, which PPO has not"):
        ERL(PPO("MlpPolicy", pendulum(), device="cpu"))
    with pytest.raises(StructuredLayersError, match="population_size must be an integer of at"):
        small_erl(population_size=1)
    with pytest.raises(StructuredLayersError, match="steps_per_generation"):
        small_erl(steps_per_generation=0)
    with pytest.raises(StructuredLayersError, match="VecFrameStack"):
        small_erl(small_learner(env=VecFrameStack(DummyVecEnv([pendulum]), 2)))
    with pytest.raises(StructuredLayersError, match="observations and actions in"):
        small_erl(env="MountainCarContinuous-v0")
    with pytest.raises(StructuredLayersError, match="optimize_memory_usage"):
        small_erl(
            small_learner(
                optimize_memory_usage=True,
                replay_buffer_kwargs={"handle_timeout_termination": False},
            )
        )


def test_hindsight_replay_is_refused() -> None:
    from stable_baselines3.common.envs import BitFlippingEnv

    model = TD3(
        "MultiInputPolicy",
        BitFlippingEnv(n_bits=2, continuous=True),
        replay_buffer_class=HerReplayBuffer,
        buffer_size=100,
        device="cpu",
    )
    with pytest.raises(StructuredLayersError, match="hindsight replay"):
        ERL(model)


def test_networks_that_no_population_runs_are_named() -> None:
    model = small_learner(policy_kwargs={"activation_fn": nn.GELU})
    with pytest.raises(StructuredLayersError, match=r"Sequential\.1 is a .*GELU"):
        small_erl(model)


def test_an_autoencoder_of_other_shapes_is_refused() -> None:
    with pytest.raises(StructuredLayersError, match="autoencoder"):
        small_erl(small_learner(policy_kwargs={"net_arch": [5]}), autoencoder=small_autoencoder())


def test_an_autoencoder_comes_from_its_folder_too(tmp_path: Path) -> None:
    small_autoencoder().save(tmp_path)
    assert small_erl(autoencoder=tmp_path).population.weights.shape == (3, 2 + 4 + 2 + 1)
    with pytest.raises(StructuredLayersError, match="autoencoder must be a NetworkAutoencoder or"):
        small_erl(autoencoder=3)
    with pytest.raises(StructuredLayersError, match="does not exist"):
        small_erl(autoencoder="x")


def test_settings_and_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="tournament_size must be an integer"):
        small_erl(settings={"tournament_size": 2.5})
    with pytest.raises(StructuredLayersError, match="population_size must be an integer"):
        small_erl(population_size=True)
    with pytest.raises(StructuredLayersError, match="env_config is of the environment that env="):
        small_erl(env_config={"g": 9.0})
