"""The exported policy decides as the model does, and needs no Stable-Baselines3."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import sb3_contrib
import torch
from sb3_cases import make_model
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import (
    CallbackList,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from structured_layers import StructuredLayersError, load_policy
from structured_layers.integrations.sb3.callbacks import ExportBestCallback
from structured_layers.integrations.sb3.deployment import deployed_policy

REPLAY = {"learning_starts": 20, "buffer_size": 400, "batch_size": 16}
STRUCTURES = {
    "toeplitz": {"layer": "toeplitz"},
    "low rank": {"layer": "low_displacement_rank", "rank": 1},
    "chromatic": {"layer": "chromatic", "num_colors": 17, "learn_colors": True},
    "masked": {"layer": "masked", "num_edges": 60},
    "masked learned": {"layer": "masked", "num_edges": 60, "learn_mask": True},
    "soft_masked": {"layer": "soft_masked"},
}


class Wide(gymnasium.ActionWrapper):
    """Actions between -3 and 5 instead of -2 and 2, so that the middle is not 0."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.action_space = gymnasium.spaces.Box(-3.0, 5.0, (1,), np.float32)

    def action(self, action: np.ndarray) -> np.ndarray:
        return action.clip(-2, 2)


def train(algorithm: type[BaseAlgorithm], env: Any, steps: int = 200, **keywords: Any) -> Any:
    if algorithm in (SAC, TD3, DQN, sb3_contrib.TQC):
        keywords = {**REPLAY, **keywords}
    structure = keywords.pop("structure", {"layer": "toeplitz"})
    policy_kwargs = {"net_arch": [16, 8], "structure": structure, **keywords.pop("kwargs", {})}
    model = algorithm("StructuredMlpPolicy", env, policy_kwargs=policy_kwargs, seed=0, **keywords)
    return model.learn(steps)


def observations(model: BaseAlgorithm, count: int = 200) -> np.ndarray:
    """Observations of an environment with random actions, not normalised."""
    env, rows = model.get_env(), []
    if isinstance(env, VecNormalize):
        env.training = False  # the statistics stay as they were exported
    env.reset()
    for _ in range(count):
        actions = np.array([env.action_space.sample() for _ in range(env.num_envs)])
        seen = env.step(actions)[0]
        rows.append(env.get_original_obs() if isinstance(env, VecNormalize) else seen)
    return np.concatenate(rows)


def check_equal(model: BaseAlgorithm, folder: Path, tolerance: float = 1e-5) -> np.ndarray:
    """Compare the loaded policy with the model, on a batch and on single observations."""
    env, seen = model.get_env(), observations(model)
    normalized = env.normalize_obs(seen) if isinstance(env, VecNormalize) else seen
    expected, _ = model.predict(normalized, deterministic=True)
    policy = load_policy(folder)
    actions, _ = policy.predict(seen)
    assert actions.shape == expected.shape
    np.testing.assert_allclose(actions, expected, atol=tolerance, rtol=0)
    single, _ = policy.predict(seen[3])
    assert single.shape == expected[3].shape
    np.testing.assert_allclose(single, expected[3], atol=tolerance, rtol=0)
    return actions


@pytest.mark.parametrize("kind", STRUCTURES)
def test_ppo_with_normalised_observations(kind: str, tmp_path: Path) -> None:
    # Bounds that are reached: of observations, and of actions.
    env = VecNormalize(DummyVecEnv([Wide, Wide]), clip_obs=1.2)
    kwargs = {"ortho_init": False}  # actions that differ
    model = train(PPO, env, n_steps=64, batch_size=64, structure=STRUCTURES[kind], kwargs=kwargs)
    with torch.no_grad():
        actions = model.predict(env.normalize_obs(observations(model)), deterministic=True)[0]
        model.policy.action_net.bias += 5.0 - float(np.median(actions))
    deployed_policy(model).save(tmp_path)
    actions = check_equal(model, tmp_path)
    assert actions.max() == 5.0
    assert actions.min() < 4.99
    seen = observations(model)
    assert (np.abs(env.normalize_obs(seen)) == np.float32(1.2)).any()


@pytest.mark.parametrize("algorithm", [SAC, TD3, sb3_contrib.TQC])
@pytest.mark.parametrize("normalize", [False, True])
def test_squashed_actions_are_rescaled(
    algorithm: type[BaseAlgorithm], normalize: bool, tmp_path: Path
) -> None:
    env: Any = DummyVecEnv([Wide])
    env = VecNormalize(env) if normalize else env
    model = train(algorithm, env, structure=STRUCTURES["chromatic"])
    deployed_policy(model).save(tmp_path)
    actions = check_equal(model, tmp_path)
    assert np.ptp(actions) > 0.01
    assert load_policy(tmp_path).network[-1].__class__ is torch.nn.Tanh


@pytest.mark.parametrize("kind", STRUCTURES)
def test_the_best_action_of_dqn(kind: str, tmp_path: Path) -> None:
    model = train(DQN, "CartPole-v1", structure=STRUCTURES[kind])
    with torch.no_grad():  # so that both actions are chosen
        values = model.q_net(torch.from_numpy(observations(model)))
        last = [m for m in model.q_net.modules() if hasattr(m, "bias")][-1]
        last.bias[0] += (values[:, 1] - values[:, 0]).median()
    deployed_policy(model).save(tmp_path)
    assert set(check_equal(model, tmp_path).tolist()) == {0, 1}


@pytest.mark.parametrize("name", ["A2C", "TRPO", "DDPG", "ARS", "MaskablePPO"])
def test_other_algorithms(name: str, tmp_path: Path) -> None:
    model = make_model(name, {"layer": "toeplitz"}).learn(96)
    if name == "MaskablePPO":  # its observation is one of twelve states
        with pytest.raises(StructuredLayersError, match="observations are Discrete"):
            deployed_policy(model)
        return
    deployed_policy(model).save(tmp_path)
    check_equal(model, tmp_path)


def test_gsde_squashes_and_clips(tmp_path: Path) -> None:
    kwargs = {"squash_output": True}
    model = train(PPO, DummyVecEnv([Wide]), use_sde=True, kwargs=kwargs, n_steps=64, batch_size=64)
    deployed_policy(model).save(tmp_path / "ppo")
    check_equal(model, tmp_path / "ppo")
    model = train(SAC, DummyVecEnv([Wide]), use_sde=True)
    with torch.no_grad():
        model.actor.mu[0].bias += 1.9  # to the bound of the means
    deployed_policy(model).save(tmp_path / "sac")
    check_equal(model, tmp_path / "sac")


def test_files_are_small_and_need_no_sb3(tmp_path: Path) -> None:
    env = VecNormalize(make_vec_env("Pendulum-v1", 1, seed=0))
    model = train(PPO, env, n_steps=64, batch_size=64, structure=STRUCTURES["chromatic"])
    deployed_policy(model).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "policy.json",
        "weights.safetensors",
    ]
    assert json.loads((tmp_path / "policy.json").read_text())["env"] == "Pendulum-v1"
    code = (
        "import sys, numpy; from structured_layers import load_policy;"
        "action, _ = load_policy(sys.argv[1]).predict(numpy.array([0.3, -0.5, 2.0]));"
        "print(repr(float(action[0])), 'stable_baselines3' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    value, has_sb3 = result.stdout.split()
    expected, _ = model.predict(env.normalize_obs(np.array([0.3, -0.5, 2.0])), deterministic=True)
    assert has_sb3 == "False"
    assert float(value) == pytest.approx(float(expected[0]), abs=1e-5)


def test_nothing_is_shared_with_the_model() -> None:
    model = train(PPO, "CartPole-v1", n_steps=64, batch_size=64, structure=STRUCTURES["chromatic"])
    policy, seen = deployed_policy(model), observations(model)
    before = policy.network.state_dict()
    values = {name: value.clone() for name, value in before.items()}
    model.learn(128)
    assert all(torch.equal(value, values[name]) for name, value in before.items())
    assert len({id(m.values) for m in policy.network if hasattr(m, "values")}) == 1  # one palette
    assert policy.predict(seen)[0].shape == (len(seen),)


def test_every_new_best_is_written(tmp_path: Path) -> None:
    env, other = (VecNormalize(make_vec_env("Pendulum-v1", 1, seed=s)) for s in (0, 1))
    model = PPO(
        "StructuredMlpPolicy",
        env,
        policy_kwargs={"structure": STRUCTURES["chromatic"], "net_arch": [16]},
        n_steps=64,
        batch_size=64,
        seed=0,
    )
    best = tmp_path / "best" / "policy"
    callback = EvalCallback(
        other,
        callback_on_new_best=ExportBestCallback(best),
        n_eval_episodes=1,
        eval_freq=64,
        best_model_save_path=str(tmp_path / "zip"),
        verbose=0,
    )
    model.learn(512, callback=callback)
    saved = PPO.load(tmp_path / "zip" / "best_model", env=env)
    check_weights(saved, best)


def check_weights(saved: BaseAlgorithm, folder: Path) -> None:
    """Compare the files with SB3's own zip of the same moment."""
    exported, expected = load_policy(folder).network, deployed_policy(saved).network
    for (name, value), (other, wanted) in zip(
        exported.state_dict().items(), expected.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(value, wanted)


def test_without_an_evaluation_there_is_no_best() -> None:
    model = make_model("PPO", {"layer": "toeplitz"})
    with pytest.raises(StructuredLayersError, match="EvalCallback.*callback_on_new_best"):
        model.learn(32, callback=ExportBestCallback("never"))
    with pytest.raises(StructuredLayersError, match="EvalCallback.*callback_on_new_best"):
        model.learn(32, callback=[ExportBestCallback("never")])


def test_a_list_of_callbacks_on_a_new_best(tmp_path: Path) -> None:
    model = make_model("PPO", {"layer": "toeplitz"})
    both = CallbackList([ExportBestCallback(tmp_path), StopTrainingOnRewardThreshold(1.0)])
    env = make_vec_env("CartPole-v1")
    model.learn(96, callback=EvalCallback(env, callback_on_new_best=both, eval_freq=32, verbose=0))
    assert model.num_timesteps == 32  # stopped by the second one
    assert load_policy(tmp_path).predict(np.zeros(4, np.float32))[0] in (0, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RecurrentPPO", "it is recurrent"),
        ("QRDQN", "outputs are quantiles"),
        ("CrossQ", "BatchRenorm1d, which files cannot describe"),
    ],
)
def test_models_that_cannot_be_exported(name: str, message: str, tmp_path: Path) -> None:
    model = make_model(name, {"layer": "toeplitz"})
    env = model.get_env().envs[0]
    callback = EvalCallback(env, callback_on_new_best=ExportBestCallback(tmp_path / "best"))
    with pytest.raises(StructuredLayersError, match=message):
        model.learn(32, callback=callback)
    assert not (tmp_path / "best").exists()


def test_other_activations_are_refused() -> None:
    model = make_model("PPO", policy="MlpPolicy", activation_fn=torch.nn.ELU)
    with pytest.raises(StructuredLayersError, match="module 1 is a ELU"):
        deployed_policy(model)
