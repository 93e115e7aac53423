"""States, outputs and the matching of a compressed policy."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from sb3_contrib import QRDQN, CrossQ, MaskablePPO, RecurrentPPO
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3 import distillation
from structured_layers.integrations.sb3.compression import compress
from structured_layers.integrations.sb3.distillation import Distillation
from structured_layers.integrations.sb3.model_copy import copy_model
from structured_layers.integrations.sb3.observations import collect_states
from structured_layers.integrations.sb3.policy_outputs import LEAK, actor_outputs

SMALL = {"net_arch": [16]}


class Extractor(BaseFeaturesExtractor):
    """A layer and dropout in front of all else."""

    def __init__(self, space: Any, dropout: float = 0.0) -> None:
        super().__init__(space, features_dim=6)
        self.linear = torch.nn.Linear(4, 6)
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear(observations))


def small(cls: Any, env: Any, policy: str = "MlpPolicy", **keywords: Any) -> Any:
    return cls(policy, env, device="cpu", seed=0, policy_kwargs=dict(SMALL), **keywords)


@pytest.mark.parametrize(
    ("cls", "env"), [(PPO, "Pendulum-v1"), (SAC, "Pendulum-v1"), (DQN, "CartPole-v1")]
)
def test_outputs_decide_about_the_deterministic_action(cls: Any, env: str) -> None:
    model = small(cls, env)
    states = collect_states(model, model.policy, 32)
    assert isinstance(states, torch.Tensor) and len(states) == 32
    with torch.no_grad():
        outputs = actor_outputs(model.policy, states)
    actions, _ = model.predict(states.numpy(), deterministic=True)
    if cls is DQN:
        np.testing.assert_array_equal(outputs["advantages"].argmax(dim=1), actions)
        np.testing.assert_allclose(outputs["advantages"].sum(dim=1), 0, atol=1e-5)
    else:
        scale = 2 if cls is SAC else 1  # SAC's are scaled to the range of the actions
        np.testing.assert_allclose(scale * outputs["means"], actions, rtol=1e-5)


def test_means_outside_of_the_bounds_are_pressed_together() -> None:
    model = small(PPO, "Pendulum-v1")
    with torch.no_grad():
        model.policy.action_net.weight.zero_()
        model.policy.action_net.bias.fill_(5.0)
    found = actor_outputs(model.policy, torch.zeros(1, 3))["means"]
    assert float(found.detach()) == pytest.approx(2 + 3 * LEAK)  # Pendulum's torque ends at 2


def test_quantiles_and_their_means() -> None:
    model = small(QRDQN, "CartPole-v1")
    outputs = actor_outputs(model.policy, torch.zeros(3, 4))
    assert outputs["values"].shape == (3, 2 * model.policy.n_quantiles)
    assert outputs["advantages"].shape == (3, 2)


def test_memories_stand_for_the_states_of_recurrent_policies() -> None:
    model = RecurrentPPO("MlpLstmPolicy", "CartPole-v1", device="cpu", n_steps=16, seed=0)
    states = collect_states(model, model.policy, 20)
    assert isinstance(states, torch.Tensor) and states.shape == (20, 256)
    assert not model.policy.lstm_actor._forward_hooks


def test_masked_actions_are_never_taken() -> None:
    class Strict(InvalidActionEnvDiscrete):  # type: ignore[misc]
        def step(self, action: Any) -> Any:
            assert self.action_masks()[int(action)]
            return super().step(action)

    model = small(MaskablePPO, Strict(dim=8, n_invalid_actions=6), n_steps=16)
    states = collect_states(model, model.policy, 200)
    assert len(states) == 200


def test_every_second_episode_explores() -> None:
    class Recorder(gym.Env[Any, Any]):
        observation_space = spaces.Box(-1, 1, (2,))
        action_space = spaces.Box(-1, 1, (1,))

        def __init__(self) -> None:
            self.episodes: list[list[float]] = []

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.episodes.append([])
            return np.zeros(2, "f"), {}

        def step(self, action: Any) -> Any:
            self.episodes[-1].append(float(action[0]))
            return np.zeros(2, "f"), 0.0, False, len(self.episodes[-1]) == 5, {}

    env = Recorder()
    model = small(TD3, env)
    collect_states(model, model.policy, 20)
    spread = [float(np.std(episode)) for episode in env.episodes[:4]]
    assert spread[0] == spread[2] == 0 and spread[1] > 0 and spread[3] > 0


def test_the_same_settings_give_the_same_policy() -> None:
    model = small(PPO, "CartPole-v1", n_steps=32, batch_size=32)
    settings = Distillation(num_states=64, num_updates=20, num_rounds=2)
    found = []
    for _ in range(2):
        model.get_env().seed(3)
        compact = compress(model, "toeplitz", distill=settings)
        found.append(compact.policy.action_net.values.detach())
    assert torch.equal(*found)


def test_what_the_actor_shares_with_the_critic_stays() -> None:
    model = PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=32, device="cpu",
        policy_kwargs={"features_extractor_class": Extractor, "net_arch": [8]},
    )  # fmt: skip
    settings = Distillation(num_states=64, num_updates=20, num_rounds=1)
    compact = compress(model, "toeplitz", distill=settings)
    before, after = (m.policy.features_extractor.linear.weight for m in (model, compact))
    assert torch.equal(before, after)


def test_copies_learn_on_their_own() -> None:
    model = small(PPO, "Pendulum-v1", use_sde=True, n_steps=32, batch_size=32).learn(32)
    before = copy.deepcopy(model.policy.state_dict())
    made = copy_model(model)
    assert made.get_env() is model.get_env()
    made.learn(64, reset_num_timesteps=False)
    assert made.num_timesteps == 96 and model.num_timesteps == 32
    assert all(torch.equal(v, before[k]) for k, v in model.policy.state_dict().items())
    listed = {id(p) for group in made.policy.optimizer.param_groups for p in group["params"]}
    assert listed == {id(p) for p in made.policy.parameters()}


def test_the_deviations_of_sac_are_outputs_too() -> None:
    model = small(SAC, "Pendulum-v1")
    states = torch.randn(5, 3)
    with torch.no_grad():
        outputs = actor_outputs(model.policy, states)
        _, log_stds, _ = model.policy.actor.get_action_dist_params(states)
    assert sorted(outputs) == ["log_stds", "means"]
    assert torch.equal(outputs["log_stds"], log_stds)


def test_a_common_shift_of_logits_is_no_difference() -> None:
    model = small(PPO, "CartPole-v1")
    states = torch.randn(5, 4)
    with torch.no_grad():
        before = actor_outputs(model.policy, states)["means"]
        model.policy.action_net.bias += 3
        after = actor_outputs(model.policy, states)["means"]
    torch.testing.assert_close(before, after)
    assert before.std() > 0


def test_states_come_from_the_compressed_policy_after_the_first_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, actors = small(PPO, "CartPole-v1"), []

    def collect(model: Any, policy: Any, num_states: int, *, seed: int) -> Any:
        actors.append((policy, num_states))
        return collect_states(model, policy, num_states, seed=seed)

    monkeypatch.setattr(distillation, "collect_states", collect)
    settings = Distillation(num_states=31, num_updates=2, num_rounds=3)
    compact = compress(model, "toeplitz", distill=settings)
    assert actors == [(model.policy, 31), (compact.policy, 16), (compact.policy, 16)]


def test_the_learning_rate_falls_along_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.Adam.step

    def remember(self: Any, *args: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", remember)
    settings = Distillation(num_states=16, num_updates=4, num_rounds=1, learning_rate=0.01)
    compress(small(PPO, "CartPole-v1"), "toeplitz", distill=settings)
    assert rates == pytest.approx([0.01, 0.005 * (1 + 0.5**0.5), 0.005, 0.005 * (1 - 0.5**0.5)])


@pytest.mark.parametrize("distill", [False, Distillation(num_states=16, num_updates=2)])
def test_model_and_copy_start_fresh_episodes(distill: Any) -> None:
    model = small(PPO, "CartPole-v1", n_steps=32, batch_size=32).learn(32)
    assert model._last_obs is not None
    assert copy_model(model)._last_obs is None
    assert model._last_obs is not None
    compact = compress(model, "toeplitz", distill=distill)
    assert model._last_obs is None and compact._last_obs is None


@pytest.mark.parametrize("target", ["actor", "critic"])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norms_keep_their_statistics(target: str, training: bool) -> None:
    model = small(CrossQ, "Pendulum-v1", learning_starts=10)
    model.learn(30)
    model.policy.set_training_mode(training)
    modes = [module.training for module in model.policy.modules()]
    settings = Distillation(num_states=32, num_updates=5, num_rounds=2)
    compact = compress(model, "toeplitz", target=target, distill=settings)
    before, after = model.policy.state_dict(), compact.policy.state_dict()
    kept = [key for key in before if "running" in key or key.endswith("steps")]
    assert kept and all(torch.equal(before[key], after[key]) for key in kept)
    for policy in (model.policy, compact.policy):
        assert modes == [m.training for n, m in policy.named_modules()]


def test_dropout_is_off() -> None:
    seen: list[bool] = []
    policy_kwargs = {
        "features_extractor_class": Extractor, "net_arch": [8],
        "features_extractor_kwargs": {"dropout": 0.5},
    }  # fmt: skip
    model = PPO("MlpPolicy", "CartPole-v1", device="cpu", policy_kwargs=policy_kwargs)
    model.policy.features_extractor.dropout.register_forward_hook(
        lambda module, inputs, output: seen.append(module.training)
    )
    model.policy.set_training_mode(True)
    compress(model, "toeplitz", distill=Distillation(num_states=16, num_updates=2, num_rounds=2))
    assert seen and not any(seen)
    assert model.policy.features_extractor.dropout.training


@pytest.mark.parametrize("target", ["features_extractor.*", "features_extractor.linear"])
def test_what_lies_in_front_of_a_memory_is_refused(target: str) -> None:
    policy_kwargs = {"features_extractor_class": Extractor, "lstm_hidden_size": 8}
    model = RecurrentPPO("MlpLstmPolicy", "CartPole-v1", device="cpu", policy_kwargs=policy_kwargs)
    settings = Distillation(num_states=16, num_updates=2, num_rounds=1)
    with pytest.raises(StructuredLayersError, match="features_extractor.linear lie in front of"):
        compress(model, "toeplitz", target=target, distill=settings)
    compress(model, "toeplitz", target=target, distill=False)
    compress(model, "toeplitz", target="all", distill=settings)


def test_an_error_of_the_environment_leaves_no_stale_observation() -> None:
    model = small(PPO, "CartPole-v1", n_steps=32, batch_size=32).learn(32)
    env, steps = model.get_env(), []
    step = env.step

    def broken(actions: Any) -> Any:
        steps.append(1)
        if len(steps) > 3:
            raise RuntimeError("no power")
        return step(actions)

    env.step = broken
    model.policy.set_training_mode(True)
    with pytest.raises(RuntimeError, match="no power"):
        compress(model, "toeplitz", distill=Distillation(num_states=16, num_updates=2))
    assert model._last_obs is None
    assert model.policy.training
    env.step = step
    model.learn(32, reset_num_timesteps=False)
    assert model.num_timesteps == 64


@pytest.mark.parametrize(
    "settings",
    [
        {"num_states": 0.5},
        {"num_updates": 10.5},
        {"num_rounds": True},
        {"batch_size": "a"},
        {"learning_rate": float("inf")},
        {"learning_rate": "fast"},
        {"seed": -1},
    ],
)
def test_settings_of_a_wrong_type(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(StructuredLayersError, match=f"{name} must be"):
        Distillation(**settings)
