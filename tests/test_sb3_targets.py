"""Which layers of each algorithm's policy belong to actor, critic and target networks."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_cases import CASES, make_model
from stable_baselines3 import DQN, PPO, SAC, TD3
from torch import nn

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3 import (
    convert_policy,
    deployed_layers,
    policy_networks,
    target_networks,
)

PPO_LIKE = {
    "actor": [["mlp_extractor.policy_net.0", "action_net"]],
    "critic": [["mlp_extractor.value_net.0", "value_net"]],
}
SAC_LIKE = {
    "actor": [["actor.latent_pi.0", "actor.mu", "actor.log_std"]],
    "critic": [["critic.qf0.0", "critic.qf0.2"], ["critic.qf1.0", "critic.qf1.2"]],
}
TD3_LIKE = {"actor": [["actor.mu.0", "actor.mu.2"]], "critic": SAC_LIKE["critic"]}
NETWORKS = {
    "PPO": PPO_LIKE,
    "A2C": PPO_LIKE,
    "TRPO": PPO_LIKE,
    "MaskablePPO": PPO_LIKE,
    "RecurrentPPO": PPO_LIKE,
    "SAC": SAC_LIKE,
    "TQC": SAC_LIKE,
    "TD3": TD3_LIKE,
    "DDPG": {"actor": TD3_LIKE["actor"], "critic": TD3_LIKE["critic"][:1]},
    "CrossQ": {
        "actor": [["actor.latent_pi.1", "actor.mu", "actor.log_std"]],
        "critic": [["critic.qf0.1", "critic.qf0.4"], ["critic.qf1.1", "critic.qf1.4"]],
    },
    "DQN": {"actor": [["q_net.q_net.0", "q_net.q_net.2"]]},
    "QRDQN": {"actor": [["quantile_net.quantile_net.0", "quantile_net.quantile_net.2"]]},
    "ARS": {"actor": [["action_net.0", "action_net.2"]], "critic": []},
}
TARGETS = {"SAC": 1, "TQC": 1, "TD3": 2, "DDPG": 2, "DQN": 1, "QRDQN": 1}


class Images(gymnasium.Env):
    """Small images, as `NatureCNN` takes them, and a number of actions or a box of them."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)

    def __init__(self, continuous: bool) -> None:
        self.action_space = spaces.Box(-1, 1, (2,)) if continuous else spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, True, {}


def make_cnn_model(cls, continuous: bool, **policy_kwargs):
    extractor = {"net_arch": [8], "features_extractor_kwargs": {"features_dim": 16}}
    keywords = {"n_steps": 8, "batch_size": 8} if cls is PPO else {"buffer_size": 10}
    return cls(
        "StructuredCnnPolicy",
        Images(continuous),
        policy_kwargs={**extractor, **policy_kwargs},
        device="cpu",
        **keywords,
    )


@pytest.mark.parametrize("name", CASES)
def test_networks_of_every_algorithm(name: str) -> None:
    expected = {"critic": NETWORKS[name]["actor"], **NETWORKS[name]}  # a Q-network is both
    assert policy_networks(make_model(name).policy) == expected


@pytest.mark.parametrize("name", CASES)
def test_target_networks_of_every_algorithm(name: str) -> None:
    policy = make_model(name).policy
    pairs = target_networks(policy)
    assert len(pairs) == TARGETS.get(name, 0)
    assert all(type(online) is type(target) and online is not target for online, target in pairs)


@pytest.mark.parametrize("name", CASES)
def test_what_is_deployed_is_the_actor_without_the_noise(name: str) -> None:
    names = [n for n in NETWORKS[name]["actor"][0] if not n.endswith("log_std")]
    policy = make_model(name).policy
    assert list(deployed_layers(policy)) == names
    convert_policy(policy, {"layer": "toeplitz"})
    assert list(deployed_layers(policy)) == names


def test_linear_layer_of_a_recurrent_critic() -> None:
    policy = make_model("RecurrentPPO", enable_critic_lstm=False).policy
    assert policy_networks(policy)["critic"] == [
        ["mlp_extractor.value_net.0", "value_net", "critic"]
    ]


def test_a_shared_features_extractor_is_part_of_neither_network() -> None:
    policy = make_cnn_model(PPO, continuous=False).policy
    networks = policy_networks(policy)
    assert networks["actor"] == PPO_LIKE["actor"]
    assert networks["critic"] == PPO_LIKE["critic"]
    convert_policy(policy, {"layer": "circulant"})
    assert type(policy.features_extractor.linear[0]) is nn.Linear
    assert "features_extractor.linear.0" in deployed_layers(policy)
    convert_policy(policy, {"layer": "circulant", "target": "all"})
    assert policy.features_extractor is policy.pi_features_extractor
    assert "CirculantLinear" in repr(policy.vf_features_extractor.linear[0])


def test_separate_features_extractors_belong_to_who_uses_them() -> None:
    policy = make_cnn_model(PPO, continuous=False, share_features_extractor=False).policy
    networks = policy_networks(policy)
    assert "features_extractor.linear.0" in networks["actor"][0]
    assert "vf_features_extractor.linear.0" in networks["critic"][0]
    q_net = make_cnn_model(DQN, continuous=False).policy
    assert "q_net.features_extractor.linear.0" in policy_networks(q_net)["actor"][0]


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("cls", [SAC, TD3])
def test_features_extractors_of_target_networks(cls, share: bool) -> None:
    policy = make_cnn_model(cls, continuous=True, share_features_extractor=share).policy
    name = "actor.features_extractor.linear.0"
    assert any(name in network for network in policy_networks(policy)["actor"]) is not share
    convert_policy(policy, {"layer": "chromatic", "num_colors": 3, "target": "all"})
    images = torch.zeros(2, 1, 36, 36, dtype=torch.uint8)
    actions = torch.zeros(2, 2)
    for ours, others in zip(
        policy.critic(images, actions), policy.critic_target(images, actions), strict=True
    ):
        assert torch.equal(ours, others)
    online = policy.critic.features_extractor.linear[0]
    assert (online is policy.actor.features_extractor.linear[0]) is share
    target = policy.critic_target.features_extractor.linear[0]
    assert target.values is not online.values
    if cls is TD3:
        assert (target is policy.actor_target.features_extractor.linear[0]) is share


def test_unknown_targets_list_what_there_is() -> None:
    policy = make_model("SAC").policy
    before = repr(policy)
    listed = r"actor\.latent_pi\.0, actor\.mu, actor\.log_std, critic\.qf0\.0"
    for target in (["critic_target.qf0.0"], "latent", "[", ["actor.mu", "mu"]):
        with pytest.raises(StructuredLayersError, match=listed) as caught:
            convert_policy(policy, {"layer": "toeplitz", "target": target})
        assert "\n" not in str(caught.value)
    assert repr(policy) == before


def test_a_policy_without_a_critic_or_without_linear_layers() -> None:
    with pytest.raises(StructuredLayersError, match="target 'critic' matches no nn.Linear"):
        convert_policy(make_model("ARS").policy, {"layer": "toeplitz", "target": "critic"})
    with pytest.raises(StructuredLayersError, match="Sequential has no nn.Linear layers"):
        convert_policy(nn.Sequential(nn.Tanh()), {"layer": "toeplitz"})
