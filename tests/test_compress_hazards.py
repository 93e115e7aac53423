"""What must not happen to a model, a caller or a file when a policy is compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")

from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.noise import NormalActionNoise

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3 import Distillation, compress, compress_sweep
from structured_layers.integrations.sb3.learning_checks import check_can_learn
from structured_layers.integrations.sb3.running_training import is_learning

SHORT = Distillation(num_states=32, num_updates=2, num_rounds=1)
ON_POLICY: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "device": "cpu"}
REPLAY: dict[str, Any] = {
    "learning_starts": 10,
    "buffer_size": 300,
    "batch_size": 16,
    "device": "cpu",
}


def trained(**keywords: Any) -> PPO:
    kwargs = {"net_arch": [8]}
    return PPO("MlpPolicy", "CartPole-v1", policy_kwargs=kwargs, **ON_POLICY, **keywords).learn(32)


class Compressing(BaseCallback):
    """Compresses the model that is learning, in the middle of a rollout."""

    def __init__(self, distill: Any) -> None:
        super().__init__()
        self.distill, self.compact = distill, None

    def _on_step(self) -> bool:
        if self.n_calls == 12:
            self.compact = compress(self.model, "toeplitz", distill=self.distill)
        return True


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_training_goes_on_as_if_a_callback_had_not_compressed(algorithm: type[Any]) -> None:
    settings = ON_POLICY if algorithm is PPO else REPLAY
    weights = []
    for callback in (None, Compressing(distill=False)):
        model = algorithm("MlpPolicy", "Pendulum-v1", seed=0, **settings)
        model.learn(64, callback=callback)
        weights.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert callback.compact.num_timesteps == 12
    assert torch.equal(*weights)


def test_a_model_that_is_learning_is_not_distilled() -> None:
    model = trained()
    for what in (True, SHORT):
        with pytest.raises(StructuredLayersError, match="the model is learning.*distill=False"):
            model.learn(32, callback=Compressing(what))
    assert not is_learning(model)
    compress(model, "toeplitz", distill=SHORT)
    model.learn(32)


def test_hindsight_replay_goes_on() -> None:
    env, keywords = BitFlippingEnv(n_bits=8, continuous=True, max_steps=8), {"seed": 0, **REPLAY}
    model = SAC("MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, **keywords).learn(42)
    compact = compress(model, "toeplitz", distill=SHORT)
    assert compact.replay_buffer.env is compact.get_env()
    # 42 steps end within an episode of 8; in the copy it is over, in the model it is not.
    assert compact.replay_buffer._current_ep_start[0] == 42
    assert model.replay_buffer._current_ep_start[0] == 40
    compact.learn(20, reset_num_timesteps=False)
    assert compact.num_timesteps == 62


def test_the_random_state_stays() -> None:
    model = trained()
    state = torch.get_rng_state()
    compress(model, "chromatic", num_colors=3, distill=SHORT)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("what", ["model.zip", Path("model.zip"), None])
def test_only_models_are_compressed(what: object) -> None:
    with pytest.raises(StructuredLayersError, match="needs a model of Stable-Baselines3.*got"):
        compress(what, "toeplitz")
    with pytest.raises(StructuredLayersError, match="needs a model of Stable-Baselines3.*got"):
        compress_sweep(what)


def test_a_policy_is_no_model() -> None:
    with pytest.raises(StructuredLayersError, match="got a ActorCriticPolicy"):
        compress(trained().policy, "toeplitz")


def test_a_second_compression_says_why_not() -> None:
    compact = compress(trained(), "chromatic", num_colors=3, distill=False)
    message = r"structured already: .*action_net \(a ChromaticLinear\).*start from the dense model"
    for target in ("actor", "action_net", ["action_net"]):
        with pytest.raises(StructuredLayersError, match=message):
            compress(compact, "toeplitz", target=target, distill=False)
    critic = compress(compact, "toeplitz", target="critic", distill=False)
    assert len(critic.policy.structure) == 2


def test_a_policy_alone_is_saved_and_loaded(tmp_path: Path) -> None:
    kwargs = {"lstm_hidden_size": 4, "net_arch": [8]}
    model = RecurrentPPO("MlpLstmPolicy", "CartPole-v1", policy_kwargs=kwargs, **ON_POLICY)
    compact = compress(model, "toeplitz", distill=False)
    compact.policy.save(tmp_path / "policy.pt")
    loaded = type(compact.policy).load(tmp_path / "policy.pt", device="cpu")
    found = loaded.state_dict()
    assert all(torch.equal(found[key], v) for key, v in compact.policy.state_dict().items())


def test_models_that_cannot_learn_are_refused_at_once() -> None:
    single, double = make_vec_env("Pendulum-v1"), make_vec_env("Pendulum-v1", n_envs=2)
    whole = TD3("MlpPolicy", double, train_freq=(1, "episode"), **REPLAY)
    with pytest.raises(StructuredLayersError, match="in 2 environments: .*--num-envs 1"):
        check_can_learn(whole)
    noise = NormalActionNoise([0.0], [0.1])
    noisy = TD3("MlpPolicy", double, action_noise=noise, **REPLAY).learn(4)
    check_can_learn(noisy)
    noisy.n_envs = 1  # as after loading in other environments
    noisy.set_env(single)
    with pytest.raises(StructuredLayersError, match="action noise was made for 2.*--num-envs 2"):
        check_can_learn(noisy)
    noisy.action_noise = None
    with pytest.raises(StructuredLayersError, match="replay buffer was filled by 2"):
        check_can_learn(noisy)
    maskable = MaskablePPO("MlpPolicy", "CartPole-v1", **ON_POLICY)
    with pytest.raises(StructuredLayersError, match="without action_masks"):
        compress_sweep(maskable, fine_tune_steps=8)
