"""What each algorithm does besides: zero starts, small heads, exploration by state, names."""

import pytest
import torch
from sb3_cases import CASES, STRUCTURES, actions, algorithm, make_env, make_model
from stable_baselines3 import A2C, DDPG, PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn
from torch.nn.utils import parameters_to_vector

from structured_layers import StructuredLinear
from structured_layers.integrations.sb3 import (
    StructuredPolicy,
    convert_policy,
    policies,
    structured_policy,
)

EVERY_LAYER = {
    "toeplitz": {"layer": "toeplitz"},
    "hankel": {"layer": "hankel"},
    "circulant": {"layer": "circulant"},
    "low_displacement_rank": {"layer": "low_displacement_rank"},
    "chromatic": {"layer": "chromatic", "num_colors": 17},
    "private palettes": {"layer": "chromatic", "num_colors": 6, "share_palette": False},
    "learned colors": STRUCTURES["chromatic"],
    "masked": {"layer": "masked", "num_edges": 30},
    "learned mask": STRUCTURES["masked"],
    "soft_masked": {"layer": "soft_masked"},
}
every_layer = pytest.mark.parametrize("kind", EVERY_LAYER)


def vector(policy: nn.Module) -> torch.Tensor:
    return parameters_to_vector(policy.parameters()).detach()


@every_layer
def test_ars_has_directions_at_its_default_start(kind: str) -> None:
    model = make_ars(EVERY_LAYER[kind], zero_policy=True)
    layers = [m for m in model.policy.modules() if isinstance(m, StructuredLinear)]
    assert len(layers) == 2
    start = [layer.weight.detach() for layer in layers]
    is_product = kind in ("low_displacement_rank", "chromatic", "learned colors")
    assert all(bool(weight.any()) is is_product for weight in start)
    assert all(layer.bias.eq(0).all() for layer in layers)
    step = 0.01 * torch.randn(model.n_params)
    ends = []
    for vector_ in (model.weights + step, model.weights - step):
        model.policy.load_from_vector(vector_)
        ends.append([layer.weight.detach() for layer in layers])
    for plus, minus, middle in zip(*ends, start, strict=True):
        assert not torch.equal(plus, minus)
        if kind != "learned colors":  # whose edges jump from colour to colour
            # ARS learns from the difference of both ends, nothing from what they have in common.
            assert (plus - minus).norm() > (plus + minus - 2 * middle).norm()


def test_ars_trains_products_from_its_default_start() -> None:
    model = make_ars(EVERY_LAYER["chromatic"], zero_policy=True)
    before = {n: p.detach().clone() for n, p in model.policy.named_parameters()}
    model.learn(800)
    assert model._n_updates == 1
    assert all(not torch.equal(p, before[n]) for n, p in model.policy.named_parameters())


@pytest.mark.parametrize("zero_policy", [True, False])
@pytest.mark.parametrize("kind", ["toeplitz", "chromatic", "learned mask"])
def test_ars_goes_on_from_what_was_saved(kind: str, zero_policy: bool, tmp_path) -> None:
    model = make_ars(EVERY_LAYER[kind], zero_policy=zero_policy)
    model.learn(1600)
    saved = vector(model.policy)
    model.save(tmp_path / "model.zip")
    loaded = algorithm("ARS").load(tmp_path / "model.zip", env=make_env(CASES["ARS"]))
    assert torch.equal(vector(loaded.policy), saved)
    loaded.lr_schedule = lambda _: 0.0  # so that an update must lead back to the same weights
    loaded.learn(800, reset_num_timesteps=False)
    torch.testing.assert_close(vector(loaded.policy), saved)


def make_ars(structure: dict, zero_policy: bool):
    case = CASES["ARS"]
    return algorithm("ARS")(
        "StructuredMlpPolicy",
        make_env(case),
        policy_kwargs={"net_arch": [8], "structure": structure},
        seed=0,
        device="cpu",
        **{**case.keywords, "zero_policy": zero_policy},
    )


@pytest.mark.parametrize("name", ["PPO", "A2C", "TRPO", "RecurrentPPO", "MaskablePPO"])
@every_layer
def test_the_small_head_stays_small(name: str, kind: str) -> None:
    structure = {**EVERY_LAYER[kind], "target": "all"}
    dense, structured = make_model(name).policy, make_model(name, structure).policy
    for layer in ("action_net", "value_net", "mlp_extractor.policy_net.0"):
        wanted = dense.get_submodule(layer).weight.std(correction=0)
        found = structured.get_submodule(layer).weight.std(correction=0)
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)
        assert structured.get_submodule(layer).bias.eq(0).all()  # as SB3 initialises it


@pytest.mark.parametrize("name", ["PPO", "A2C", "SAC", "TQC", "RecurrentPPO"])
@pytest.mark.parametrize("kind", ["toeplitz", "learned colors", "soft_masked"])
def test_exploration_by_state(name: str, kind: str) -> None:
    model = algorithm(name)(
        CASES[name].policy,
        make_env(CASES["SAC"]),
        policy_kwargs={"net_arch": [8], "structure": EVERY_LAYER[kind]},
        use_sde=True,
        sde_sample_freq=4,
        seed=0,
        device="cpu",
        **CASES[name].keywords,
    )
    head = model.policy.actor.mu if hasattr(model.policy, "actor") else model.policy.action_net
    head = head[0] if isinstance(head, nn.Sequential) else head
    assert isinstance(head, StructuredLinear)
    before = head.weight.detach()
    model.learn(64)
    assert not torch.equal(head.weight, before)
    assert actions(model).shape == (5, 1)


def test_squashed_outputs_stay_in_bounds() -> None:
    structure = {"layer": "toeplitz", "target": "all"}
    policy = make_ars(structure, zero_policy=False).policy
    assert isinstance(policy.action_net[-1], nn.Tanh)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.fill_(10.0)
    assert policy(torch.ones(1, 3)).abs().max() <= 1


def test_trpo_trains_the_free_values_of_its_actor() -> None:
    model = make_model("TRPO", {"layer": "toeplitz", "target": "all"})
    names = {name for name, _ in model.policy.named_parameters()}
    assert "action_net.free_weights" in names
    # What TRPO takes for the actor's parameters, by what is not in their names.
    held, _, _, shapes = model._compute_actor_grad(objective(model), objective(model))
    trained = {id(p) for p in held}
    assert id(model.policy.action_net.values) in trained
    assert id(model.policy.value_net.values) not in trained
    assert id(model.policy.mlp_extractor.value_net[0].values) not in trained
    assert len(shapes) == len(trained) == 4
    assert model.policy.state_dict().keys() >= {"action_net.values"}


def objective(model) -> torch.Tensor:
    return model.policy.get_distribution(torch.randn(4, 4)).entropy().sum()


def test_classes_of_the_algorithms() -> None:
    for name, case in CASES.items():
        assert case.policy in algorithm(name).policy_aliases
    own = PPO.policy_aliases["StructuredMlpPolicy"]
    assert own is policies.StructuredPPOMlpPolicy
    assert (own.__module__, own.__name__) == (policies.__name__, "StructuredPPOMlpPolicy")
    assert structured_policy(ActorCriticPolicy, PPO) is own
    assert structured_policy(ActorCriticPolicy, A2C) is policies.StructuredA2CMlpPolicy
    assert structured_policy(own) is own
    assert DDPG.policy_aliases["StructuredMlpPolicy"] is policies.StructuredTD3MlpPolicy
    assert "StructuredTQCMultiInputPolicy" in dir(policies)
    with pytest.raises(AttributeError, match="StructuredNothing"):
        policies.StructuredNothing  # noqa: B018


class CustomPolicy(ActorCriticPolicy):
    """As users write them."""


@pytest.mark.parametrize("name", ["PPO", "TRPO"])
def test_custom_policy_classes(name: str, tmp_path) -> None:
    cls = structured_policy(CustomPolicy, algorithm(name))
    assert issubclass(cls, (StructuredPolicy, CustomPolicy))
    assert issubclass(cls, policies.StructuredTRPOPolicy) is (name == "TRPO")
    model = make_model(name, STRUCTURES["toeplitz"], policy=cls)
    model.learn(32)
    model.save(tmp_path / "model.zip")
    loaded = algorithm(name).load(tmp_path / "model.zip")
    assert loaded.policy.structure == STRUCTURES["toeplitz"]
    assert (actions(loaded) == actions(model)).all()


def test_no_structure_is_a_dense_policy() -> None:
    policy = make_model("PPO").policy
    assert policy.structure is None
    assert not any(isinstance(m, StructuredLinear) for m in policy.modules())
    convert_policy(policy, {"layer": "toeplitz"})
    assert isinstance(policy.action_net, StructuredLinear)
