"""Recolouring: the palette is the best one for the shadows, in online and target networks."""

from pathlib import Path

import pytest
import torch
from sb3_cases import make_model
from sb3_contrib import ARS
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from structured_layers import StructuredLayersError
from structured_layers.integrations.sb3.callbacks import RecolorCallback
from structured_layers.integrations.sb3.callbacks.networks import kept_by_ars, optimizers_of
from structured_layers.integrations.sb3.callbacks.recolor import learned_palettes, recolor_
from structured_layers.integrations.sb3.targets import target_networks
from structured_layers.layers import ChromaticLinear
from structured_layers.layers.straight_through import palette_units

SMALL = {
    "PPO": (PPO, "Pendulum-v1", {"n_steps": 64, "batch_size": 32, "n_epochs": 2}),
    "SAC": (SAC, "Pendulum-v1", {"learning_starts": 20, "batch_size": 16, "buffer_size": 500}),
    "DQN": (DQN, "CartPole-v1", {"learning_starts": 20, "batch_size": 16, "buffer_size": 500}),
}
LEARNED = {"layer": "chromatic", "num_colors": 6, "learn_colors": True}


def make(name: str, **structure: object) -> BaseAlgorithm:
    algorithm, env, keywords = SMALL[name]
    policy_kwargs = {"net_arch": [16, 16], "structure": {**LEARNED, **structure}}
    return algorithm(
        "StructuredMlpPolicy", env, policy_kwargs=policy_kwargs, seed=0, device="cpu", **keywords
    )


def shadow_error(layers: list[ChromaticLinear]) -> float:
    """The squared distance of all shadows from their colours, in the units of the palette."""
    with torch.no_grad():
        return sum(
            float((palette_units(layer.shadow) - layer.values[layer.colors]).square().sum())
            for layer in layers
        )


@pytest.mark.parametrize("name", SMALL)
def test_palettes_become_the_best_ones(name: str) -> None:
    model = make(name, target="all")
    model.learn(128)
    groups = learned_palettes(model.policy)
    assert len(groups) == {"PPO": 2, "SAC": 3, "DQN": 1}[name]
    with torch.no_grad():
        for layers in groups:
            layers[0].values[1:] = layers[0].values[0] + 50  # colours that no edge uses
    before = [shadow_error(layers) for layers in groups]
    scales = [layer.scale.clone() for layers in groups for layer in layers]
    recolor_(model.policy)
    for layers, error in zip(groups, before, strict=True):
        best = shadow_error(layers)
        assert best < 0.1 * error
        used = torch.cat([layer.colors.flatten() for layer in layers]).unique()
        assert used.tolist() == list(range(6))
        with torch.no_grad():  # no other palette near it is better
            for step in (-1e-2, 1e-2):
                layers[0].values[2] += step
                assert shadow_error(layers) > best
                layers[0].values[2] -= step
    assert all(map(torch.equal, scales, [layer.scale for group in groups for layer in group]))


def test_the_optimizer_forgets_palettes_and_scales_only() -> None:
    model = make("PPO")
    model.learn(64)
    (layers,) = learned_palettes(model.policy)
    (optimizer,) = optimizers_of(model.policy)
    assert optimizer.state[layers[0].values]["exp_avg"].any()
    recolor_(model.policy)
    forgotten = [layers[0].values, *(layer.scale for layer in layers)]
    assert not any(parameter in optimizer.state for parameter in forgotten)
    assert all(optimizer.state[layer.shadow]["exp_avg"].any() for layer in layers)
    model.learn(64, reset_num_timesteps=False)
    assert optimizer.state[layers[0].values]["step"] == 4  # two epochs of two batches


@pytest.mark.parametrize("name", ["SAC", "DQN"])
def test_target_networks_get_the_palettes(name: str) -> None:
    model = make(name, target="all")
    model.learn(128)
    compared = 0
    for online, target in target_networks(model.policy):
        followers = dict(target.named_modules())
        layers = {n: m for n, m in online.named_modules() if isinstance(m, ChromaticLinear)}
        assert any(not torch.equal(layers[n].values, followers[n].values) for n in layers)
        shadows = [followers[path].shadow.clone() for path in layers]
        recolor_(model.policy)
        for path, shadow in zip(layers, shadows, strict=True):
            assert torch.equal(layers[path].values, followers[path].values)
            assert layers[path].values is not followers[path].values
            assert torch.equal(followers[path].shadow, shadow)
            compared += 1
    assert compared == {"SAC": 6, "DQN": 3}[name]


def test_it_happens_at_its_frequency(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    model = make("PPO")
    monkeypatch.setattr(
        "structured_layers.integrations.sb3.callbacks.recolor.recolor_",
        lambda policy: steps.append(model.num_timesteps),
    )
    model.learn(384, callback=RecolorCallback(frequency=100))
    assert steps == [128, 256, 320]  # the rollouts that begin after 100, 200 and 300 steps
    model.learn(128, callback=RecolorCallback(frequency=100), reset_num_timesteps=False)
    assert steps == [128, 256, 320, 448]


@pytest.mark.parametrize("loaded", [False, True])  # with its parameters apart from ARS's vector?
def test_ars_goes_on_from_the_new_palette(loaded: bool, tmp_path: Path) -> None:
    model = make_model("ARS", LEARNED)
    model.learn(300, callback=RecolorCallback(frequency=10))
    if loaded:
        model.save(tmp_path / "model")
        model = ARS.load(tmp_path / "model", env=model.get_env(), device="cpu")
    (layers,) = learned_palettes(model.policy)
    with kept_by_ars(model), torch.no_grad():
        layers[0].values += 1
    moved = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.policy.load_from_vector(model.weights)
    for name, value in model.policy.state_dict().items():
        torch.testing.assert_close(value, moved[name])


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"learn_colors": False}, r"colours of mlp_extractor\.policy_net\.0, .* are fixed"),
        ({"layer": "toeplitz", "learn_colors": None, "num_colors": None}, "no chromatic layer"),
    ],
)
def test_policies_without_learned_colours(structure: dict[str, object], message: str) -> None:
    structure = {k: v for k, v in {**LEARNED, **structure}.items() if v is not None}
    algorithm, env, keywords = SMALL["PPO"]
    policy_kwargs = {"structure": structure}
    model = algorithm("StructuredMlpPolicy", env, policy_kwargs=policy_kwargs, **keywords)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    with pytest.raises(StructuredLayersError, match=f"nothing to recolour.*{message}"):
        model.learn(64, callback=RecolorCallback())
    after = model.policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in after)


@pytest.mark.parametrize("frequency", [0, -5, 2.5, "a", None, True])
def test_frequency_is_checked(frequency: object) -> None:
    with pytest.raises(StructuredLayersError, match="frequency must be an integer of at least 1"):
        RecolorCallback(frequency=frequency)


@pytest.mark.parametrize("frequency", [100, 128])  # passed in the last rollout, and met exactly
def test_a_resumed_training_recolours_at_the_same_steps(
    frequency: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    running: list[BaseAlgorithm] = []
    monkeypatch.setattr(
        "structured_layers.integrations.sb3.callbacks.recolor.recolor_",
        lambda policy: steps.append(running[-1].num_timesteps),
    )
    running.append(make("PPO"))
    running[-1].learn(320, callback=RecolorCallback(frequency))
    whole = steps.copy()
    steps.clear()
    running.append(make("PPO"))
    for _ in range(5):  # stopped and loaded after every rollout
        model = running[-1]
        model.learn(64, callback=RecolorCallback(frequency), reset_num_timesteps=False)
        model.save(tmp_path / "model")
        running.append(PPO.load(tmp_path / "model", env=model.get_env(), device="cpu"))
    assert steps == whole == [128, 256]
    running[-1].learn(192, callback=RecolorCallback(frequency))  # from step 0 again
    assert steps == [128, 256, 128]
