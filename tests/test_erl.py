"""ERL beside TD3, SAC and DDPG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from erl_cases import (
    STEPS,
    normalized_env,
    pendulum,
    small_autoencoder,
    small_erl,
    small_learner,
)
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from structured_layers import StructuredLayersError, load_policy
from structured_layers.integrations.sb3.erl import ERL
from structured_layers.integrations.sb3.erl.learner_actor import (
    actor_network,
    clipped,
    normalizer_of,
)
from structured_layers.integrations.sb3.erl.learner_states import recent_states
from structured_layers.layers.decoder_files import save_decoder
from structured_layers.layers.weight_decoder import WeightDecoder
from structured_layers.population import PopulationPolicy


def acted(erl: ERL, row: int, observations: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an actor's outputs, as the population runs it."""
    normalizer = normalizer_of(erl.model)
    network = clipped(erl.population.network_of(erl.model), normalizer)
    policy = PopulationPolicy(network, erl.population.weights[[row] * len(observations)])
    if normalizer.statistics is not None:
        observations = (observations - normalizer.statistics.mean) / normalizer.statistics.std
    return policy.act(observations)


@pytest.mark.parametrize("name", ["TD3", "SAC", "DDPG"])
def test_transitions_of_the_population_enter_the_buffer(name: str) -> None:
    erl = small_erl(small_learner(name)).learn(16)
    assert erl.num_timesteps == 16
    assert erl.population.generation == 2
    assert erl.population.env_steps == 2 * 3 * STEPS
    assert erl.model.replay_buffer.size() == 16 + erl.population.env_steps
    # a whole episode of each actor came before the first step of the learner, in lock-step
    first = erl.model.replay_buffer.observations[: 3 * STEPS, 0]
    assert np.array_equal(first[3:6], erl.model.replay_buffer.next_observations[:3, 0])
    assert not erl.model.replay_buffer.dones[: 3 * STEPS].any()  # cut by the time limit


STRUCTURES: dict[str, dict[str, Any]] = {
    "toeplitz": {"layer": "toeplitz"},
    "chromatic": {"layer": "chromatic", "num_colors": 3, "learn_colors": True},
    "masked": {"layer": "masked", "num_edges": 6, "learn_mask": True},
    "soft masked": {"layer": "soft_masked"},
}


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        *((name, None) for name in ("TD3", "SAC", "DDPG")),
        ("SAC", STRUCTURES["toeplitz"]),
        *(("TD3", structure) for structure in STRUCTURES.values()),
    ],
)
def test_the_copy_acts_as_the_learner(name: str, structure: dict[str, Any] | None) -> None:
    kwargs = {} if structure is None else {"structure": structure}
    erl = small_erl(small_learner(name, normalized_env(), policy_kwargs=kwargs))
    erl.learn(8)  # its copy was made at the start of the rollout, and has not learned since
    erl.evolve_if_due()
    observations = np.random.default_rng(0).normal(0, 2, (5, 3)).astype(np.float32)
    scaled = erl.model.get_env().normalize_obs(observations)
    expected, _ = erl.predict(scaled, deterministic=True)
    assert np.allclose(2 * acted(erl, -1, observations), expected, atol=1e-5)


def test_a_latent_learner_needs_no_autoencoder(tmp_path: Path) -> None:
    save_decoder(WeightDecoder(4, 3, latent_size=2), tmp_path)
    # the target actor too, so that both keep the same shapes
    structure = {"layer": "latent", "decoder": str(tmp_path), "target": r"actor.*\.mu\.0"}
    erl = small_erl(small_learner(policy_kwargs={"structure": structure})).learn(8)
    assert erl.population.weights.shape == (3, 2 + 4 + 4 + 1)
    observations = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    erl.evolve_if_due()
    expected, _ = erl.predict(observations, deterministic=True)
    assert np.allclose(2 * acted(erl, -1, observations), expected, atol=1e-5)


def test_a_latent_population_evolves_codes() -> None:
    erl = small_erl(autoencoder=small_autoencoder()).learn(8)
    dense = sum(p.numel() for p in actor_network(erl.model).parameters())
    assert erl.population.weights.shape == (3, dense - 12 - 4 + 2 + 2)
    policy = erl.elite_policy()
    assert isinstance(policy.network[0], nn.Linear)
    observations = np.random.default_rng(0).normal(size=(4, 3))
    outputs = policy.replicate(4).act(observations)
    assert np.allclose(outputs, acted(erl, 0, observations), atol=1e-5)


@pytest.mark.parametrize("structure", [{"layer": "dense"}, *STRUCTURES.values()])
def test_the_elite_can_be_saved_and_used(tmp_path: Path, structure: dict[str, Any]) -> None:
    model = small_learner(env=normalized_env(), policy_kwargs={"structure": structure})
    erl = small_erl(model).learn(16)
    erl.elite_policy().save(tmp_path / "policy")
    policy = load_policy(tmp_path / "policy")
    assert policy.observation_mean is not None and policy.observation_std is not None
    observations = np.random.default_rng(0).normal(0, 2, (4, 3))
    normalized = (observations - policy.observation_mean) / policy.observation_std
    outputs = policy.replicate(4).act(normalized)
    assert np.allclose(outputs, acted(erl, 0, observations), atol=1e-6)


def test_before_the_first_generation_there_is_no_elite() -> None:
    with pytest.raises(StructuredLayersError, match="call learn first"):
        small_erl().elite_policy()


def test_log_and_callbacks_are_those_of_stable_baselines3(tmp_path: Path) -> None:
    seen: list[int] = []
    values: dict[str, Any] = {}

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            seen.append(self.num_timesteps)
            values.update(self.logger.name_to_value)
            return True

    saving = CheckpointCallback(save_freq=8, save_path=str(tmp_path))
    erl = small_erl().learn(16, callback=[Look(), saving], log_interval=None)
    assert seen == list(range(1, 17))
    assert (tmp_path / "rl_model_16_steps.zip").exists()
    assert values["erl/population_env_steps"] == erl.population.env_steps
    assert values["erl/population_return_max"] >= values["erl/population_return_mean"]
    assert 0 < values["erl/evolution_share"] < 1
    assert 0 < erl.evolution_share < 1
    stopped = small_erl().learn(16, callback=lambda a, b: False)
    assert stopped.num_timesteps == 1


def test_the_same_seed_gives_the_same_training() -> None:
    first, second = (small_erl().learn(24) for _ in range(2))
    assert torch.equal(first.population.weights, second.population.weights)
    rewards = [erl.model.replay_buffer.rewards for erl in (first, second)]
    assert np.array_equal(*rewards)


def test_several_environments_share_the_buffer() -> None:
    model = small_learner(env=DummyVecEnv([pendulum] * 2))
    erl = small_erl(model).learn(16)
    rows = erl.num_timesteps // 2 + erl.population.env_steps // 2
    assert model.replay_buffer.pos == rows


def test_the_environment_is_the_learners_own() -> None:
    erl = small_erl()
    assert erl.population.environment == ("Pendulum-v1", {"max_episode_steps": STEPS})


def test_a_callable_environment_runs() -> None:
    wrapped = gymnasium.wrappers.TransformReward(pendulum(), lambda reward: reward / 10)
    model = small_learner(env=wrapped)
    with pytest.raises(StructuredLayersError, match="TransformReward.*env="):
        small_erl(model)
    erl = small_erl(model, env=pendulum).learn(8)
    assert erl.population.env_steps == 3 * STEPS


def test_refined_copies_act_more_like_the_learner() -> None:
    copies = {}
    for steps in (0, 100):
        erl = small_erl(autoencoder=small_autoencoder(), refine_steps=steps).learn(8)
        states = recent_states(erl.model, erl.model.replay_buffer)
        network = erl.population._copy_of(erl.model, erl.model.replay_buffer)
        difference = network(states) - actor_network(erl.model)(states)
        copies[steps] = float(difference.detach().square().mean())
    assert copies[100] < 0.9 * copies[0]


def test_recent_states_are_normalized_and_of_the_buffer() -> None:
    erl = small_erl(small_learner(env=normalized_env())).learn(8)
    buffer = erl.model.replay_buffer
    states = recent_states(erl.model, buffer)
    raw = buffer.observations[: buffer.pos].reshape(-1, 3)
    expected = erl.model.get_vec_normalize_env().normalize_obs(raw)
    assert len(states) == len(np.unique(np.linspace(1, buffer.pos, 256).astype(int)))
    assert np.isclose(states[:, None].numpy(), expected[None], atol=1e-6).all(-1).any(1).all()
