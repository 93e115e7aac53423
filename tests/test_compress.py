"""Compressing trained models of every algorithm."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

import sb3_contrib
import stable_baselines3
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.compression import compress
from structured_layers.integrations.sb3.distillation import Distillation
from structured_layers.integrations.sb3.observations import collect_states
from structured_layers.integrations.sb3.targets import deployed_layers, target_networks
from structured_layers.layers import ChromaticLinear, StructuredLinear

SHORT = Distillation(num_states=64, num_updates=20, num_rounds=2, batch_size=32)
ON_POLICY: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
OFF_POLICY: dict[str, Any] = {"learning_starts": 16, "batch_size": 16, "buffer_size": 500}
SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [16, 16]}}
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "PPO": ("MlpPolicy", "CartPole-v1", ON_POLICY | SMALL),
    "A2C": ("MlpPolicy", "Pendulum-v1", SMALL),
    "SAC": ("MlpPolicy", "Pendulum-v1", OFF_POLICY | SMALL),
    "TD3": ("MlpPolicy", "Pendulum-v1", OFF_POLICY | SMALL),
    "DDPG": ("MlpPolicy", "Pendulum-v1", OFF_POLICY | SMALL),
    "DQN": ("MlpPolicy", "CartPole-v1", OFF_POLICY | SMALL),
    "TQC": ("MlpPolicy", "Pendulum-v1", OFF_POLICY | SMALL),
    "TRPO": ("MlpPolicy", "Pendulum-v1", {"n_steps": 32, "batch_size": 32} | SMALL),
    "CrossQ": ("MlpPolicy", "Pendulum-v1", OFF_POLICY | SMALL),
    "QRDQN": ("MlpPolicy", "CartPole-v1", OFF_POLICY | SMALL),
    "RecurrentPPO": ("MlpLstmPolicy", "CartPole-v1", ON_POLICY | SMALL),
    "MaskablePPO": ("MlpPolicy", "masked", ON_POLICY | SMALL),
    "ARS": ("MlpPolicy", "CartPole-v1", {"n_delta": 2} | SMALL),
}


def make_model(name: str, num_steps: int = 48) -> Any:
    policy, env, keywords = CASES[name]
    cls = getattr(stable_baselines3, name, None) or getattr(sb3_contrib, name)
    made = InvalidActionEnvDiscrete(dim=6, n_invalid_actions=2) if env == "masked" else env
    return cls(policy, made, seed=0, device="cpu", **copy.deepcopy(keywords)).learn(num_steps)


def values_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


@pytest.mark.parametrize("name", CASES)
def test_every_algorithm_goes_on_after_compression(name: str, tmp_path: Path) -> None:
    model = make_model(name)
    before, steps = values_of(model), model.num_timesteps
    compact = compress(model, "chromatic", num_colors=5, distill=SHORT)
    assert compact.num_timesteps == steps
    layers = deployed_layers(compact.policy).values()
    assert any(isinstance(layer, ChromaticLinear) for layer in layers)
    compact.learn(48, reset_num_timesteps=False)
    assert compact.num_timesteps > steps
    assert all(torch.equal(value, model.policy.state_dict()[key]) for key, value in before.items())
    compact.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", env=compact.get_env(), device="cpu")
    observations = compact.get_env().reset()
    wanted, _ = compact.predict(observations, deterministic=True)
    found, _ = loaded.predict(observations, deterministic=True)
    np.testing.assert_array_equal(found, wanted)
    loaded.learn(48, reset_num_timesteps=False)


def test_loads_where_only_two_libraries_are_imported(tmp_path: Path) -> None:
    compact = compress(make_model("SAC"), "masked", num_edges=40, distill=SHORT)
    compact.save(tmp_path / "model.zip")
    observation = compact.get_env().reset()
    wanted, _ = compact.predict(observation, deterministic=True)
    code = (
        "import sys, numpy as np, structured_layers\n"
        "from stable_baselines3 import SAC\n"
        "model = SAC.load(sys.argv[1], device='cpu')\n"
        "print(model.predict(np.array(eval(sys.argv[2]), 'f'), deterministic=True)[0].tolist())\n"
    )
    words = [str(tmp_path / "model.zip"), repr(observation.tolist())]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    np.testing.assert_array_equal(np.array(eval(done.stdout.splitlines()[-1]), "f"), wanted)


def test_distillation_comes_nearer_than_projection() -> None:
    model = make_model("PPO", 512)
    states = torch.randn(256, 4, generator=torch.Generator().manual_seed(0)) * 0.1
    wanted = model.policy.get_distribution(states).distribution.logits.detach()
    errors = {}
    for label, distill in (
        ("projected", False),
        ("distilled", Distillation(num_states=256, num_updates=200, num_rounds=2)),
    ):
        compact = compress(model, "toeplitz", distill=distill)
        found = compact.policy.get_distribution(states).distribution.logits.detach()
        errors[label] = float((found - wanted).square().mean())
    assert errors["distilled"] < errors["projected"] / 2


@pytest.mark.parametrize("name", ["SAC", "TD3", "TQC", "DQN"])
def test_target_networks_follow(name: str) -> None:
    compact = compress(make_model(name), "toeplitz", target="all", distill=SHORT)
    pairs = target_networks(compact.policy)
    assert pairs
    for online, target in pairs:
        wanted = online.state_dict()
        assert any(isinstance(module, StructuredLinear) for module in target.modules())
        assert all(torch.equal(v, wanted[k]) for k, v in target.state_dict().items())
    assert compact.policy is not None and compact.get_env() is not None
    aliases = [n for n in ("actor", "critic", "critic_target", "q_net") if hasattr(compact, n)]
    assert all(getattr(compact, n) is getattr(compact.policy, n) for n in aliases)


def test_untouched_targets_keep_their_averages() -> None:
    model = make_model("TD3")
    compact = compress(model, "toeplitz", distill=SHORT)
    wanted = model.policy.critic_target.state_dict()
    found = compact.policy.critic_target.state_dict()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())


def test_critics_are_distilled_too() -> None:
    model = make_model("SAC", 100)
    states = collect_states(model, model.policy, 256)
    actions = model.policy._predict(states, deterministic=True)
    wanted = model.policy.critic(states, actions)[0].detach()
    settings = Distillation(num_states=256, num_updates=200, learning_rate=1e-2)
    errors = []
    for distill in (False, settings):
        compact = compress(model, "toeplitz", target="critic", distill=distill)
        found = compact.policy.critic(states, actions)[0].detach()
        errors.append(float((found - wanted).square().mean()))
        for before, after in zip(
            model.policy.actor.parameters(), compact.policy.actor.parameters(), strict=True
        ):
            assert torch.equal(before, after)
    assert errors[1] < errors[0] / 2


def test_optimizers_keep_the_state_of_what_stayed() -> None:
    model = make_model("SAC")
    compact = compress(model, "toeplitz", distill=SHORT)
    old, new = model.policy.critic.optimizer, compact.policy.critic.optimizer
    for before, after in zip(
        model.policy.critic.parameters(), compact.policy.critic.parameters(), strict=True
    ):
        assert torch.equal(old.state[before]["exp_avg"], new.state[after]["exp_avg"])
    actor = compact.policy.actor.optimizer
    assert actor.param_groups[0]["lr"] == model.policy.actor.optimizer.param_groups[0]["lr"]
    listed = {id(p) for group in actor.param_groups for p in group["params"]}
    assert listed == {id(p) for p in compact.policy.actor.parameters()}


def test_replay_buffer_is_copied_and_entropy_is_its_own() -> None:
    model = make_model("SAC")
    compact = compress(model, "toeplitz", distill=SHORT)
    assert compact.replay_buffer.size() == model.replay_buffer.size() == 48
    assert compact.log_ent_coef is not model.log_ent_coef
    assert compact.ent_coef_optimizer.param_groups[0]["params"][0] is compact.log_ent_coef
    compact.learn(32, reset_num_timesteps=False)
    assert model.replay_buffer.size() == 48


def test_normalizer_is_kept_and_stands_still() -> None:
    env = VecNormalize(make_vec_env("Pendulum-v1", n_envs=2, seed=0))
    model = stable_baselines3.PPO("MlpPolicy", env, device="cpu", **ON_POLICY).learn(64)
    mean, count = env.obs_rms.mean.copy(), env.obs_rms.count
    compact = compress(model, "circulant", distill=SHORT)
    assert compact.get_vec_normalize_env() is env
    np.testing.assert_array_equal(env.obs_rms.mean, mean)
    assert env.obs_rms.count == count and env.training and env.norm_reward


def test_gsde_and_a_second_compression(tmp_path: Path) -> None:
    model = stable_baselines3.PPO(
        "MlpPolicy", "Pendulum-v1", use_sde=True, device="cpu", **ON_POLICY
    ).learn(64)
    once = compress(model, "toeplitz", target=["action_net"], distill=SHORT)
    twice = compress(once, "chromatic", num_colors=4, distill=SHORT)
    assert [entry["layer"] for entry in twice.policy_kwargs["structure"]] == [
        "toeplitz",
        "chromatic",
    ]
    twice.learn(32, reset_num_timesteps=False)
    twice.save(tmp_path / "model.zip")
    loaded = stable_baselines3.PPO.load(tmp_path / "model.zip", device="cpu")
    observation = np.zeros(3, "f")
    wanted, _ = twice.predict(observation, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], wanted)


def test_dict_observations() -> None:
    class Both(gym.ObservationWrapper[Any, Any, Any]):
        def __init__(self) -> None:
            super().__init__(gym.make("CartPole-v1"))
            self.observation_space = gym.spaces.Dict({"state": self.env.observation_space})

        def observation(self, observation: Any) -> Any:
            return {"state": observation}

    model = stable_baselines3.PPO("MultiInputPolicy", Both(), device="cpu", **ON_POLICY).learn(32)
    compact = compress(model, "toeplitz", distill=SHORT)
    assert all(isinstance(m, StructuredLinear) for m in deployed_layers(compact.policy).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "hexagonal"}, "one of dense, toeplitz"),
        ({"layer": "chromatic", "num_colors": 10**6}, "between 1 and"),
        ({"layer": "chromatic", "num_colours": 4}, "got num_colours"),
        ({"layer": "toeplitz", "target": "decoder"}, "action_net"),
        ({"layer": "toeplitz", "target": ["actor.7"]}, "action_net"),
        ({"layer": "masked", "num_edges": 1}, "num_edges must be between"),
        ({"layer": "toeplitz", "distill": "yes"}, "distill must be True, False"),
    ],
)
def test_errors_leave_the_model_as_it_was(arguments: dict[str, Any], message: str) -> None:
    model = make_model("PPO", 32)
    before, policy = values_of(model), model.policy
    with pytest.raises(StructuredLayersError, match=message):
        compress(model, **{"distill": SHORT, **arguments})
    assert model.policy is policy
    assert all(torch.equal(value, policy.state_dict()[key]) for key, value in before.items())
    model.learn(32, reset_num_timesteps=False)


def test_distillation_needs_an_environment(tmp_path: Path) -> None:
    make_model("PPO", 32).save(tmp_path / "model.zip")
    model = stable_baselines3.PPO.load(tmp_path / "model.zip", device="cpu")
    with pytest.raises(StructuredLayersError, match="no environment"):
        compress(model, "toeplitz")
    compact = compress(model, "toeplitz", distill=False)
    assert isinstance(compact.policy.action_net, StructuredLinear)


def test_settings_are_checked() -> None:
    with pytest.raises(StructuredLayersError, match="num_updates must be an integer of at least 1"):
        Distillation(num_updates=0)
    with pytest.raises(StructuredLayersError, match="learning_rate must be a finite .*, got nan"):
        Distillation(learning_rate=float("nan"))
