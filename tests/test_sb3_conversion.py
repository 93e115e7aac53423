"""Conversion of whole policies: values, optimizers, palettes, and nothing after an error."""

import copy

import pytest
import torch
from sb3_cases import CASES, STRUCTURES, actions, make_model, named_tensors
from torch import nn

from structured_layers import ChromaticLinear, StructuredLayersError, ToeplitzLinear
from structured_layers.integrations.sb3 import (
    convert_policy,
    policy_networks,
    resolved_structure,
    target_networks,
)

DENSE = {name: case.policy.removeprefix("Structured") for name, case in CASES.items()}
CHROMATIC = {"layer": "chromatic", "num_colors": 5, "target": "all"}


def optimizers(policy: nn.Module) -> list[tuple[nn.Module, torch.optim.Optimizer]]:
    return [(m, vars(m)["optimizer"]) for m in policy.modules() if "optimizer" in vars(m)]


@pytest.mark.parametrize("name", CASES)
def test_built_with_a_structure_or_converted_later_is_the_same(name: str) -> None:
    built = make_model(name, CHROMATIC).policy
    converted = make_model(name, policy=DENSE[name]).policy
    convert_policy(converted, CHROMATIC)
    shapes = [[(n, t.shape) for n, t in named_tensors(p)] for p in (built, converted)]
    assert shapes[0] == shapes[1]
    for (_, one), (_, other) in zip(optimizers(built), optimizers(converted), strict=True):
        groups = [[p.shape for p in o.param_groups[0]["params"]] for o in (one, other)]
        assert groups[0] == groups[1]
        assert one.defaults == other.defaults


@pytest.mark.parametrize("name", CASES)
def test_optimizers_hold_the_parameters_that_are_trained(name: str) -> None:
    policy = make_model(name, CHROMATIC).policy
    targets = {id(p) for _, target in target_networks(policy) for p in target.parameters()}
    wanted = {id(p) for p in policy.parameters()} - targets
    held = [id(p) for _, o in optimizers(policy) for g in o.param_groups for p in g["params"]]
    if name != "ARS":
        assert sorted(held) == sorted(wanted)


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3", "DQN", "CrossQ"])
def test_conversion_of_a_trained_policy_keeps_what_stays(name: str) -> None:
    model = make_model(name, policy=DENSE[name])
    model.learn(64)
    policy = model.policy
    owner, before = optimizers(policy)[0]
    names = policy_networks(policy)["actor"][0]
    biases = {n: policy.get_submodule(n).bias.clone() for n in names}
    stays = policy.get_submodule(names[0]).weight
    state = copy.deepcopy(before.state[stays])
    convert_policy(policy, {"layer": "toeplitz", "target": names[1:]}, init="project")
    after = vars(owner)["optimizer"]
    assert after is not before
    assert type(after) is type(before)
    options = [
        {k: v for k, v in o.param_groups[0].items() if k != "params"} for o in (before, after)
    ]
    assert options[1] == {**options[0], "fused": True}  # as nothing else was asked for
    assert torch.equal(after.state[stays]["exp_avg"], state["exp_avg"])
    assert after.state[stays]["step"] == state["step"] > 0
    assert all(torch.equal(policy.get_submodule(n).bias, bias) for n, bias in biases.items())
    for online, target in target_networks(policy):
        for (key, ours), (_, theirs) in zip(
            online.named_modules(), target.named_modules(), strict=True
        ):
            assert type(ours) is type(theirs), key
            if isinstance(ours, ToeplitzLinear):
                assert torch.equal(ours.weight, theirs.weight)
                assert ours.values is not theirs.values
                assert theirs.training is target.training
    model.learn(32, reset_num_timesteps=False)


@pytest.mark.parametrize("optimizer", [torch.optim.Adagrad, torch.optim.AdamW, torch.optim.SGD])
def test_other_optimizers_keep_their_options(optimizer: type[torch.optim.Optimizer]) -> None:
    kwargs = {"optimizer_class": optimizer, "optimizer_kwargs": {"weight_decay": 0.01}}
    model = make_model("PPO", STRUCTURES["chromatic"], **kwargs)
    dense = make_model("PPO", policy="MlpPolicy", **kwargs)
    assert type(model.policy.optimizer) is optimizer
    assert model.policy.optimizer.defaults == dense.policy.optimizer.defaults
    model.learn(32)


def test_networks_do_not_share_palettes_or_edges() -> None:
    policy = make_model("SAC", CHROMATIC).policy
    palettes = {}
    for name, layer in policy.named_modules():
        if isinstance(layer, ChromaticLinear):
            palettes.setdefault(id(layer.values), set()).add(".".join(name.split(".")[:2]))
    assert sorted(map(sorted, palettes.values())) == [
        ["actor.latent_pi", "actor.log_std", "actor.mu"],
        ["critic.qf0"],
        ["critic.qf1"],
        ["critic_target.qf0"],
        ["critic_target.qf1"],
    ]
    masked = make_model("TD3", {**STRUCTURES["masked"], "target": "all"}).policy
    for network in (masked.actor, masked.critic.qf0, masked.critic.qf1, masked.critic_target.qf1):
        layers = [m for m in network.modules() if hasattr(m, "num_edges")]
        assert sum(layer.num_edges for layer in layers) == 30


def test_entries_of_a_list_take_what_is_left() -> None:
    structure = [
        {"layer": "dense", "target": ["action_net"]},
        {"layer": "toeplitz", "target": r".*policy_net\..*"},
        {"layer": "circulant", "target": "all"},
    ]
    policy = make_model("PPO", structure).policy
    assert type(policy.action_net) is nn.Linear
    assert "ToeplitzLinear" in repr(policy.mlp_extractor.policy_net)
    assert "CirculantLinear" in repr(policy.mlp_extractor.value_net)
    with pytest.raises(StructuredLayersError, match="earlier entries .* take all layers"):
        make_model("PPO", [{"layer": "hankel", "target": "all"}, {"layer": "toeplitz"}])


def test_a_conversion_reports_what_it_did() -> None:
    policy = make_model("PPO").policy
    report = convert_policy(policy, {"layer": "chromatic", "num_colors": 4, "target": "all"})
    assert report.names == (
        "mlp_extractor.policy_net.0",
        "action_net",
        "mlp_extractor.value_net.0",
        "value_net",
    )
    assert report.dense_weights == 4 * 8 + 8 * 2 + 4 * 8 + 8
    assert report.weights == 2 * (4 + 2)  # a palette and two scales for each network


@pytest.mark.parametrize("name", ["PPO", "SAC", "DQN"])
def test_after_an_error_everything_is_as_it_was(name: str) -> None:
    model = make_model(name)
    before = {key: id(part) for key, part in model.policy.named_modules()}
    held = [id(optimizer) for _, optimizer in optimizers(model.policy)]
    tensors, decided = dict(named_tensors(model.policy)), actions(model)
    last = policy_networks(model.policy)["actor"][0][-1]
    for structure in (
        [{"layer": "toeplitz"}, {"layer": "toeplitz", "target": "nothing"}],
        {"layer": "chromatic", "num_colors": 100_000},
        {"layer": "masked", "num_edges": 1, "learn_mask": True},
        {"layer": "masked", "num_edges": {last: 3}, "learn_mask": True},
        # The last layer fails after others were replaced.
        [{"layer": "toeplitz"}, {"layer": "low_displacement_rank", "rank": 0, "target": "all"}],
        {"layer": "low_displacement_rank", "rank": 0, "target": [last]},
    ):
        with pytest.raises(StructuredLayersError) as caught:
            convert_policy(model.policy, structure)
        assert "\n" not in str(caught.value)
        assert {key: id(part) for key, part in model.policy.named_modules()} == before
        assert [id(optimizer) for _, optimizer in optimizers(model.policy)] == held
        assert all(torch.equal(t, tensors[key]) for key, t in named_tensors(model.policy))
    assert (actions(model) == decided).all()


def test_learned_edges_are_split_alike_whatever_was_drawn_before() -> None:
    edges = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        policy = make_model("SAC").policy
        torch.rand(seed)
        convert_policy(policy, STRUCTURES["masked"])
        edges.append(resolved_structure(policy, STRUCTURES["masked"])["num_edges"])
    assert edges[0] == edges[1]
    # The heads have 8 edges each, fewer than their 9 units would get.
    assert edges[0] == {"actor.latent_pi.0": 14, "actor.mu": 8, "actor.log_std": 8}


def test_the_resolved_structure_rebuilds_a_projected_policy() -> None:
    policy = make_model("PPO", policy="MlpPolicy").policy
    with torch.no_grad():
        policy.action_net.weight.mul_(1e6)  # its weights are the largest
    convert_policy(policy, STRUCTURES["masked"], init="project")
    resolved = resolved_structure(policy, STRUCTURES["masked"])
    # In proportion to units, whatever the weights: each layer keeps its own largest ones.
    assert resolved["num_edges"] == {"mlp_extractor.policy_net.0": 16, "action_net": 14}
    again = make_model("PPO", resolved).policy
    again.load_state_dict(policy.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(again.get_distribution(x).mode(), policy.get_distribution(x).mode())
    assert torch.equal(again.action_net.weight, policy.action_net.weight)
    assert STRUCTURES["masked"]["num_edges"] == 30


@pytest.mark.parametrize("asked", [{"foreach": True}, {"fused": False}, {"capturable": True}])
def test_an_optimizer_computes_its_steps_as_it_was_asked_to(asked: dict[str, bool]) -> None:
    model = make_model("PPO", {"layer": "toeplitz"}, optimizer_kwargs=asked)
    group = model.policy.optimizer.param_groups[0]
    assert group.items() >= asked.items()
    assert not group["fused"]
