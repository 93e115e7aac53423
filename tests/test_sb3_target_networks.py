"""The structure of a target network follows its online network."""

import copy

import numpy as np
import pytest
import torch
from sb3_cases import STRUCTURES, actions, make_model, named_tensors, observations
from stable_baselines3.common.utils import polyak_update
from torch import nn

from structured_layers import ChromaticLinear, MaskedLinear, StructuredLayersError, StructuredLinear
from structured_layers.integrations.sb3 import (
    copy_structure_,
    sync_target_structure_,
    target_networks,
)

WITH_TARGETS = ("SAC", "TD3", "TQC", "DQN")
LEARNED = [{**STRUCTURES["chromatic"], "target": "all"}, {**STRUCTURES["masked"], "target": "all"}]
FIXED = [
    {"layer": "chromatic", "num_colors": 5, "target": "all"},
    {"layer": "masked", "num_edges": 12, "target": "all"},
]
follows = pytest.mark.parametrize("name", WITH_TARGETS)


def layer_pairs(policy: nn.Module) -> list[tuple[StructuredLinear, StructuredLinear]]:
    """Return the online and the target layer of every place; there have to be some."""
    pairs = [
        (layer, target.get_submodule(name))
        for online, target in target_networks(policy)
        for name, layer in online.named_modules()
        if isinstance(layer, StructuredLinear)
    ]
    assert pairs
    return pairs


def discrete(layer: StructuredLinear) -> torch.Tensor:
    return layer.colors if isinstance(layer, ChromaticLinear) else layer.mask


@torch.no_grad()
def disturb_(policy: nn.Module) -> None:
    """Change the online networks as a long training would."""
    for online, _ in target_networks(policy):
        for parameter in online.parameters():
            parameter.add_(torch.randn_like(parameter))


def update_(policy: nn.Module, tau: float) -> None:
    for online, target in target_networks(policy):
        polyak_update(online.parameters(), target.parameters(), tau)


@follows
@pytest.mark.parametrize("structure", LEARNED, ids=["colors", "mask"])
def test_learned_structure_follows_by_polyak_averaging(name: str, structure: dict) -> None:
    policy = make_model(name, structure).policy
    for online, target in layer_pairs(policy):
        assert torch.equal(discrete(online), discrete(target))
    disturb_(policy)
    shares = [share_of_equal(policy)]
    assert shares[0] < 1
    for _ in range(4):
        for _ in range(50):
            update_(policy, 0.02)
        shares.append(share_of_equal(policy))
    assert shares == sorted(shares)
    update_(policy, 1.0)
    for online, target in layer_pairs(policy):
        assert torch.equal(online.weight, target.weight)


def share_of_equal(policy: nn.Module) -> float:
    """Return the share of edges whose colour, or survival, is the same in both networks."""
    equal = [(discrete(o) == discrete(t)).flatten() for o, t in layer_pairs(policy)]
    return float(torch.cat(equal).float().mean())


@follows
@pytest.mark.parametrize("structure", LEARNED, ids=["colors", "mask"])
def test_learned_structure_follows_in_training(name: str, structure: dict) -> None:
    model = make_model(name, structure)
    model.learn(96)
    policy = model.policy
    update_(policy, 1.0)
    assert share_of_equal(policy) == 1.0
    for online, target in layer_pairs(policy):
        assert online.values is not target.values
        assert torch.equal(online.weight, target.weight)


@follows
@pytest.mark.parametrize("structure", FIXED, ids=["colors", "mask"])
def test_written_structure_is_copied(name: str, structure: dict) -> None:
    policy = make_model(name, structure).policy
    for online, target in layer_pairs(policy):
        assert torch.equal(discrete(online), discrete(target))
        discrete(online).copy_(discrete(online).flip(0, 1))
    disturb_(policy)
    update_(policy, 0.5)
    assert share_of_equal(policy) < 1
    values = [target.values.clone() for _, target in layer_pairs(policy)]
    sync_target_structure_(policy)
    assert share_of_equal(policy) == 1.0
    kept = [torch.equal(v, t.values) for v, (_, t) in zip(values, layer_pairs(policy), strict=True)]
    assert all(kept)


def test_a_pruned_number_of_edges_is_copied() -> None:
    policy = make_model("SAC", LEARNED[1]).policy
    for online, _ in layer_pairs(policy):
        online.num_edges = 2
    sync_target_structure_(policy)
    assert all(target.num_edges == 2 for _, target in layer_pairs(policy))
    assert share_of_equal(policy) == 1.0


def test_a_layer_of_another_kind_is_copied_with_the_averaged_values() -> None:
    policy = make_model("SAC", LEARNED[0]).policy
    disturb_(policy)
    update_(policy, 0.5)
    for network in (policy.critic.qf0, policy.critic.qf1):
        for key in ("0", "2"):
            setattr(network, key, getattr(network, key).harden())
    averaged = [target.values.clone() for _, target in layer_pairs(policy)]
    sync_target_structure_(policy)
    pairs = layer_pairs(policy)
    assert all(type(o) is type(t) and t.shadow is None for o, t in pairs)
    assert share_of_equal(policy) == 1.0
    for values, (online, target) in zip(averaged, pairs, strict=True):
        assert torch.equal(target.values, values)
        assert target.values is not online.values
        assert not target.training
    first, second = policy.critic_target.qf0, policy.critic_target.qf1
    assert first[0].values is first[2].values
    assert first[0].values is not second[0].values
    update_(policy, 1.0)
    assert all(torch.equal(o.weight, t.weight) for o, t in layer_pairs(policy))


def test_networks_that_are_not_built_alike() -> None:
    online = nn.Sequential(MaskedLinear(2, 2))
    with pytest.raises(StructuredLayersError, match="the target network has no 0; it must"):
        copy_structure_(online, nn.Sequential())


@pytest.mark.parametrize("name", ["PPO", "SAC", "DQN"])
@pytest.mark.parametrize("structure", [*LEARNED, *FIXED], ids=["c", "m", "fixed c", "fixed m"])
def test_deepcopy_of_a_policy_is_its_own(name: str, structure: dict) -> None:
    model = make_model(name, structure)
    model.learn(32)
    # PPO's policy keeps its last distribution, and one with gradients cannot be copied.
    actions(model)
    twin = copy.deepcopy(model.policy)
    mine = {id(p) for p in model.policy.parameters()}
    assert not mine & {id(p) for p in twin.parameters()}
    assert len(list(twin.parameters())) == len(mine)  # what layers shared is shared again
    before = dict(named_tensors(twin))
    seen = observations(model)
    assert np.array_equal(twin.predict(seen, deterministic=True)[0], actions(model))
    model.learn(32, reset_num_timesteps=False)
    assert all(torch.equal(t, before[key]) for key, t in named_tensors(twin))
