"""CERL: learners of different discounts beside a population."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from erl_cases import SMALL, STEPS, normalized_env, pendulum, small_autoencoder, small_learner
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.erl import CERL

LEARNER = {**SMALL, "policy_kwargs": {"net_arch": [4], "activation_fn": nn.Tanh}}
QUICK: dict[str, Any] = {"population_size": 3, "steps_per_generation": 2 * STEPS}


def small_cerl(env: Any = None, **keywords: Any) -> CERL:
    return CERL.portfolio(
        TD3, "MlpPolicy", env or pendulum(), discounts=(0.9, 0.99), learner=LEARNER, seed=0,
        **{**QUICK, **keywords},
    )  # fmt: skip


def test_learners_share_environment_buffer_and_steps() -> None:
    cerl = small_cerl().learn(4 * STEPS)
    first, second = cerl.models
    assert (first.gamma, second.gamma) == (0.9, 0.99)
    assert first.replay_buffer is second.replay_buffer
    assert first.get_env() is second.get_env()
    assert first.num_timesteps == second.num_timesteps == 4 * STEPS
    assert first.replay_buffer.size() == 4 * STEPS + cerl.population.env_steps
    assert cerl.allocation.counts.sum() == 4
    # all learners take as many gradient steps as they took steps together
    assert first._n_updates == second._n_updates == 4 * STEPS
    vectors = [nn.utils.parameters_to_vector(m.actor.parameters()) for m in cerl.models]
    assert not torch.equal(*vectors)


def test_observations_are_handed_on_from_learner_to_learner() -> None:
    cerl = small_cerl(normalized_env()).learn(4 * STEPS)
    buffer = cerl.models[0].replay_buffer
    start = 3 * STEPS  # after the first generation of the population
    observations = buffer.observations[start : start + 2 * STEPS, 0]
    following = buffer.next_observations[start : start + 2 * STEPS, 0]
    chained = (observations[1:] == following[:-1]).all(axis=1)
    assert np.flatnonzero(~chained).tolist() == [STEPS - 1]  # only where an episode ended


def test_returns_of_rollouts_are_not_normalized() -> None:
    cerl = small_cerl(normalized_env()).learn(2 * STEPS)
    buffer = cerl.models[0].replay_buffer
    rewards = buffer.rewards[3 * STEPS : 5 * STEPS, 0].reshape(2, STEPS).sum(axis=1)
    assert np.allclose(cerl.allocation.values.numpy(), rewards, rtol=1e-5)


def test_callbacks_see_every_step() -> None:
    seen: list[int] = []

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            seen.append(self.num_timesteps)
            return len(seen) < 3 * STEPS

    cerl = small_cerl().learn(10 * STEPS, callback=Look())
    assert seen == list(range(1, 3 * STEPS + 1))
    assert cerl.num_timesteps == 3 * STEPS
    again = cerl.learn(2 * STEPS, reset_num_timesteps=False)
    assert again.num_timesteps >= 5 * STEPS


def test_gradient_steps_are_an_argument() -> None:
    cerl = small_cerl(gradient_steps_per_step=0.25).learn(2 * STEPS)
    assert [model._n_updates for model in cerl.models] == [STEPS // 2] * 2


def test_no_learner_learns_before_it_may() -> None:
    late = {**LEARNER, "learning_starts": 3 * STEPS}
    cerl = CERL.portfolio(
        TD3, "MlpPolicy", pendulum(), discounts=(0.9, 0.99), learner=late, seed=0, **QUICK
    )
    cerl.learn(2 * STEPS)
    assert [model._n_updates for model in cerl.models] == [0, 0]
    cerl.learn(2 * STEPS, reset_num_timesteps=False)
    assert [model._n_updates for model in cerl.models] == [2 * STEPS] * 2


@pytest.mark.parametrize("how", ["Ctrl-C", "callback"])
def test_gradient_steps_that_are_owed_are_taken_later(how: str, tmp_path: Path) -> None:
    def stopping(local: dict[str, Any], _: dict[str, Any]) -> bool:
        if local["self"].num_timesteps == STEPS + 3:
            if how == "Ctrl-C":
                raise KeyboardInterrupt
            return False
        return True

    cerl = small_cerl()
    with nullcontext() if how == "callback" else pytest.raises(KeyboardInterrupt):
        cerl.learn(2 * STEPS, callback=stopping)
    assert [model._n_updates for model in cerl.models] == [0, 0]
    cerl.save(tmp_path / "cerl", replay_buffer=True)
    loaded = CERL.load(tmp_path / "cerl", pendulum(), replay_buffer=True, device="cpu")
    for one in (cerl, loaded):
        one.learn(STEPS, reset_num_timesteps=False)
        assert [model._n_updates for model in one.models] == [one.num_timesteps] * 2


def test_training_that_is_interrupted_goes_on_at_the_same_learner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cerl = small_cerl()

    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cerl.models[1], "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cerl.learn(2 * STEPS)
    assert [model._n_updates for model in cerl.models] == [2 * STEPS, 0]
    cerl.learn(2 * STEPS, reset_num_timesteps=False)
    assert [model._n_updates for model in cerl.models] == [4 * STEPS] * 2


def test_the_best_learner_earns_most() -> None:
    cerl = small_cerl()
    assert cerl.best_learner() == 0
    cerl.allocation.values = torch.tensor([-5.0, -1.0], dtype=torch.float64)
    assert cerl.best_learner() == 1
    expected, _ = cerl.models[1].predict(np.ones(3, np.float32), deterministic=True)
    assert np.array_equal(cerl.predict(np.ones(3, np.float32), deterministic=True)[0], expected)
    cerl.allocation.values = torch.tensor([-5.0, torch.nan], dtype=torch.float64)
    assert cerl.best_learner() == 0


def test_learners_of_one_discount_have_lines_of_their_own_in_the_log() -> None:
    models = [small_learner(seed=seed) for seed in (0, 1)]
    cerl = CERL(models, **QUICK).learn(2 * STEPS, log_interval=None)
    logged = cerl.models[0].logger.name_to_value
    assert [logged[f"cerl/rollouts_{number}"] for number in (0, 1)] == [1, 1]
    values = [logged[f"cerl/return_{number}"] for number in (0, 1)]
    assert values == cerl.allocation.values.tolist()


def test_learners_enter_a_latent_population() -> None:
    cerl = small_cerl(autoencoder=small_autoencoder()).learn(2 * STEPS)
    assert cerl.population.weights.shape == (3, 2 + 4 + 2 + 1)
    assert cerl.state_dict()["population"]["learner_rows"] == [1, 2]
    expected, _ = cerl.models[cerl.best_learner()].predict(np.zeros(3, np.float32))
    assert np.array_equal(cerl.predict(np.zeros(3, np.float32))[0], expected)


def test_a_saved_portfolio_goes_on(tmp_path: Path) -> None:
    cerl = small_cerl().learn(2 * STEPS)
    for _ in range(5):
        cerl.allocation.draw()  # so that the generator is not where it was at first
    cerl.save(tmp_path / "cerl", replay_buffer=True)
    loaded = CERL.load(tmp_path / "cerl", pendulum(), replay_buffer=True, device="cpu")
    assert loaded.arguments() == cerl.arguments()
    first, second = cerl.state_dict(), loaded.state_dict()
    assert torch.equal(first["allocation"]["values"], second["allocation"]["values"])
    draws = [[one.allocation.draw() for _ in range(20)] for one in (cerl, loaded)]
    assert draws[0] == draws[1]
    assert torch.equal(first["population"]["weights"], second["population"]["weights"])
    assert [m.gamma for m in loaded.models] == [0.9, 0.99]
    for one, other in zip(cerl.models, loaded.models, strict=True):
        vectors = [nn.utils.parameters_to_vector(m.policy.parameters()) for m in (one, other)]
        assert torch.equal(*vectors)
    buffers = [one.models[1].replay_buffer for one in (cerl, loaded)]
    assert np.array_equal(buffers[0].rewards, buffers[1].rewards)
    assert loaded.learn(STEPS, reset_num_timesteps=False).num_timesteps >= 3 * STEPS


def test_portfolios_that_cannot_be_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="at least two learners"):
        CERL([small_learner()])
    with pytest.raises(StructuredLayersError, match="got 2 in parallel"):
        small_cerl(DummyVecEnv([pendulum] * 2))
    with pytest.raises(StructuredLayersError, match="gradient_steps_per_step"):
        small_cerl(gradient_steps_per_step=0)
    with pytest.raises(StructuredLayersError, match="the same observations and actions"):
        CERL([small_learner(), small_learner(env="MountainCarContinuous-v0")], **QUICK)
