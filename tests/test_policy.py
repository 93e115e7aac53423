"""A policy decides as its network does, and comes back from its files as it was."""

import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from structured_layers import (
    CheckpointError,
    Policy,
    StructuredLayersError,
    load_policy,
    topology_to_vector,
    vector_to_topology,
)
from structured_layers.actions import Actions, BoxActions, DiscreteActions
from structured_layers.files import json_digest, num_bytes, write_tensors
from structured_layers.specs import NetworkSpec

SPECS = {
    "dense": NetworkSpec(8, 2, hidden=(9,), output_bias=True),
    "linear": NetworkSpec(8, 2, hidden=()),
    "toeplitz": NetworkSpec(8, 2, hidden=(9, 5), layer="toeplitz", activation="relu"),
    "circulant": NetworkSpec(8, 2, hidden=(9,), layer="circulant", activation="sigmoid"),
    "chromatic": NetworkSpec(8, 2, hidden=(9,), layer="chromatic", num_colors=5),
    "masked": NetworkSpec(8, 2, hidden=(9,), layer="masked", activation="silu", bias=False),
}
OBSERVATIONS = np.random.default_rng(0).normal(size=(20, 8))


def box(size: int = 2, bound: float = 1.0) -> BoxActions:
    return BoxActions(np.full(size, -bound, np.float32), np.full(size, bound, np.float32))


def trained(spec: NetworkSpec) -> nn.Sequential:
    """A network with weights and structure that a fresh one does not have."""
    network = spec.build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    structure = topology_to_vector(network)
    low, high = (-1, spec.num_colors) if spec.num_colors else (0, 2)
    vector_to_topology(torch.randint(low, high, structure.shape), network)
    return network


def make_policy(name: str = "dense", actions: Actions | None = None) -> Policy:
    spec, generator = SPECS[name], np.random.default_rng(1)
    return Policy(
        trained(spec),
        actions or box(),
        observation_mean=generator.normal(size=8),
        observation_std=generator.uniform(0.5, 2.0, size=8),
        spec=spec,
        env="Swimmer-v5",
    )


def outputs(network: nn.Module, observations: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(observations).float()).numpy()


def test_predict_has_the_signature_of_sb3() -> None:
    parameters = list(inspect.signature(Policy.predict).parameters)
    assert parameters == ["self", "observation", "state", "episode_start", "deterministic"]
    states = (np.zeros(3),)
    _, returned = make_policy().predict(OBSERVATIONS, states, np.ones(20, bool), False)
    assert returned is states
    assert make_policy().predict(OBSERVATIONS)[1] is None


@pytest.mark.parametrize("shape", [(), (1,), (20,), (0,)], ids=str)
def test_shapes_are_those_of_the_observation(shape: tuple[int, ...]) -> None:
    observation = np.zeros((*shape, 8))
    assert make_policy().predict(observation)[0].shape == (*shape, 2)
    discrete = make_policy(actions=DiscreteActions(2))
    assert discrete.predict(observation)[0].shape == shape


@pytest.mark.parametrize("name", SPECS)
def test_actions_are_the_networks_outputs(name: str) -> None:
    policy = Policy(trained(SPECS[name]), box(bound=1e6))
    actions, _ = policy.predict(OBSERVATIONS)
    np.testing.assert_allclose(actions, outputs(policy.network, OBSERVATIONS), rtol=1e-5, atol=1e-5)
    for observation, action in zip(OBSERVATIONS, actions, strict=True):
        assert np.array_equal(policy.predict(observation)[0], action)
    assert np.array_equal(policy.predict(OBSERVATIONS.tolist())[0], actions)
    assert np.array_equal(policy.replicate(20).act(OBSERVATIONS), actions)


def test_box_actions_are_clipped_and_of_the_boxs_type() -> None:
    bounds = BoxActions(np.array([-0.5, -1e9]), np.array([0.25, 1e9]))
    policy = Policy(trained(SPECS["dense"]), bounds)
    actions, _ = policy.predict(OBSERVATIONS)
    expected = outputs(policy.network, OBSERVATIONS)
    assert actions.dtype == np.float64
    assert (actions[:, 0].min(), actions[:, 0].max()) == (-0.5, 0.25)
    np.testing.assert_allclose(actions, np.clip(expected, bounds.low, bounds.high), rtol=1e-5)
    assert Policy(policy.network, box()).predict(OBSERVATIONS)[0].dtype == np.float32


@pytest.mark.parametrize("start", [0, -1, 5])
def test_discrete_actions_are_the_largest_output_counted_from_start(start: int) -> None:
    spec = NetworkSpec(8, 4)
    policy = Policy(spec.build(), DiscreteActions(4, start))
    expected = outputs(policy.network, OBSERVATIONS).argmax(axis=1) + start
    assert np.array_equal(policy.predict(OBSERVATIONS)[0], expected)
    action, _ = policy.predict(OBSERVATIONS[0])
    assert np.issubdtype(action.dtype, np.integer)
    assert int(action) == expected[0]


def test_observations_are_normalised_in_double_precision() -> None:
    # Around 1e8 a float32 is one of eight apart, so that single precision would lose all of it.
    mean, std = np.full(8, 1e8), np.full(8, 0.5)
    network = trained(SPECS["dense"])
    policy = Policy(network, box(bound=1e6), observation_mean=mean, observation_std=std)
    actions, _ = policy.predict(mean + 0.5 * OBSERVATIONS)
    np.testing.assert_allclose(actions, outputs(network, OBSERVATIONS), rtol=1e-4, atol=1e-4)


def test_later_changes_of_the_network_do_not_reach_the_policy() -> None:
    policy = make_policy("linear")
    before, _ = policy.predict(OBSERVATIONS)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            parameter.zero_()
    assert np.array_equal(policy.predict(OBSERVATIONS)[0], before)


@pytest.mark.parametrize("shape", [(7,), (20, 9), (), (2, 20, 8)], ids=str)
def test_wrong_observations(shape: tuple[int, ...]) -> None:
    message = r"observation must have shape \(8,\) or \(n, 8\), got \("
    with pytest.raises(StructuredLayersError, match=message):
        make_policy().predict(np.zeros(shape))


@pytest.mark.parametrize(
    ("actions", "normalizer", "message"),
    [
        (box(3), {}, "the actions need 3 outputs, the network has 2"),
        (box(), {"observation_mean": np.zeros(8)}, r"both be None, got shapes \(8,\) and None"),
        (
            box(),
            {"observation_mean": np.zeros(1), "observation_std": np.ones(8)},
            r"both have shape \(8,\), .* got shapes \(1,\) and \(8,\)",
        ),
    ],
)
def test_parts_that_do_not_fit(actions: Actions, normalizer: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        Policy(SPECS["dense"].build(), actions, **normalizer)


@pytest.mark.parametrize("actions", [box(), DiscreteActions(2, start=3)], ids=["box", "discrete"])
@pytest.mark.parametrize("name", SPECS)
def test_a_saved_policy_acts_with_the_same_bits(
    name: str, actions: Actions, tmp_path: Path
) -> None:
    policy = make_policy(name, actions)
    policy.save(tmp_path / "run" / "policy")
    for folder in (tmp_path / "run", str(tmp_path / "run" / "policy")):
        loaded = load_policy(folder)
        assert np.array_equal(loaded.predict(OBSERVATIONS)[0], policy.predict(OBSERVATIONS)[0])
    assert (loaded.spec, loaded.env) == (policy.spec, "Swimmer-v5")
    assert torch.equal(topology_to_vector(loaded.network), topology_to_vector(policy.network))
    assert type(loaded.actions) is type(actions)
    assert loaded.predict(OBSERVATIONS)[0].dtype == policy.predict(OBSERVATIONS)[0].dtype
    assert sorted(os.listdir(tmp_path / "run" / "policy")) == ["policy.json", "weights.safetensors"]


def test_every_write_gives_the_same_bytes(tmp_path: Path) -> None:
    policy, files = make_policy(), set()
    for _ in range(20):
        policy.save(tmp_path)
        files.add((tmp_path / "weights.safetensors").read_bytes())
    assert len(files) == 1


def test_a_policy_without_normaliser_or_environment_makes_the_round_trip(tmp_path: Path) -> None:
    low = np.array([-np.inf, -2.0])
    low.flags.writeable = False
    bounds = BoxActions(low, np.array([np.inf, 0.5]))
    policy = Policy(trained(SPECS["toeplitz"]), bounds, spec=SPECS["toeplitz"])
    policy.save(tmp_path)
    loaded = load_policy(tmp_path)
    assert (loaded.observation_mean, loaded.observation_std, loaded.env) == (None, None, None)
    actions, _ = loaded.predict(OBSERVATIONS)
    assert actions.dtype == np.float64
    assert np.array_equal(actions, policy.predict(OBSERVATIONS)[0])


def test_a_shared_palette_is_stored_once_and_shared_after_loading(tmp_path: Path) -> None:
    make_policy("chromatic").save(tmp_path)
    tensors = load_file(tmp_path / "weights.safetensors")
    stored = {name: t.numel() for name, t in tensors.items() if name.endswith(".values")}
    assert stored == {"network.0.values": 5}
    network = load_policy(tmp_path).network
    assert network[0].values is network[2].values is network[0].palette.values


def test_of_a_masked_network_the_surviving_weights_are_stored(tmp_path: Path) -> None:
    policy = make_policy("masked")
    policy.save(tmp_path)
    tensors = load_file(tmp_path / "weights.safetensors")
    for index in (0, 2):
        layer = policy.network[index]
        stored = tensors[f"network.{index}.values"]
        assert stored.shape == (layer.num_weights,)
        assert 0 < layer.num_weights < layer.mask.numel()
        assert torch.equal(stored, layer.values[layer.mask])


def test_a_module_of_ones_own_is_not_saved(tmp_path: Path) -> None:
    policy = Policy(SPECS["dense"].build(), box())
    with pytest.raises(StructuredLayersError, match="saved with its NetworkSpec.*has none.*own"):
        policy.save(tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_weights_load_into_a_module_of_ones_own(tmp_path: Path) -> None:
    policy = make_policy("dense")
    policy.save(tmp_path)
    network = nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 2))
    loaded = load_policy(tmp_path, network=network)
    assert loaded.network is network
    assert torch.equal(network[0].weight, policy.network[0].weight)
    expected = Policy(
        network,
        box(),
        observation_mean=policy.observation_mean,
        observation_std=policy.observation_std,
    )
    assert np.array_equal(loaded.predict(OBSERVATIONS)[0], expected.predict(OBSERVATIONS)[0])
    with pytest.raises(StructuredLayersError, match="NetworkSpec"):  # the spec says tanh
        loaded.save(tmp_path / "again")


def test_weights_load_into_a_network_whose_palette_came_apart(tmp_path: Path) -> None:
    policy = make_policy("chromatic")
    policy.save(tmp_path)
    network = SPECS["chromatic"].build()
    network.load_state_dict(network.state_dict(), assign=True)
    assert network[0].values is not network[2].values
    loaded = load_policy(tmp_path, network=network)
    assert network[0].values is network[2].values
    assert np.array_equal(loaded.predict(OBSERVATIONS)[0], policy.predict(OBSERVATIONS)[0])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Linear(8, 2)), r"its weights are \['0.bias', .*the network's are"),
        (
            nn.Sequential(nn.Linear(8, 9), nn.Tanh(), nn.Linear(9, 3)),
            r"2.weight has shape \(2, 9\), the network's is \(3, 9\)",
        ),
    ],
)
def test_a_module_that_does_not_fit_is_not_changed(
    network: nn.Module, message: str, tmp_path: Path
) -> None:
    make_policy("dense").save(tmp_path)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path, network=network)
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name])


def edit_json(folder: Path, **changes: object) -> None:
    path = folder / "policy.json"
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**data, "seal": json_digest(data)}))
    write_tensors(folder / "weights.safetensors", load_file(folder / "weights.safetensors"))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors)
    edit_json(folder, bytes=num_bytes(tensors))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "policy.json").unlink(), "policy.json does not exist"),
        (lambda f: cut(f / "policy.json"), "policy.json is cut off or not JSON"),
        (lambda f: (f / "policy.json").write_bytes(b"\xff\xfe"), "cut off or not JSON"),
        (lambda f: (f / "policy.json").write_text("[1]"), "is not a structured-layers policy"),
        (lambda f: edit_json(f, format="other"), "is not a structured-layers policy"),
        (lambda f: edit_json(f, version=4), "has version 4, .* reads up to 3; upgrade"),
        (lambda f: edit_json(f, version="new"), "has version new"),
        (lambda f: edit_json(f, network={"in_features": 8}), "'hidden'"),
        (lambda f: edit_json(f, network=None), "does not hold a whole policy"),
        (lambda f: edit_json(f, actions={"type": "box"}, network={}), "does not hold|not a whole"),
        (lambda f: edit_json(f, actions={"type": "discrete", "n": "many"}), "whole policy"),
        (lambda f: edit_json(f, actions={"type": "discrete", "n": 5, "start": 0}), "5 outputs"),
        (lambda f: edit_json(f, actions={"type": "dance"}), "actions are of type 'dance'"),
        (lambda f: edit_json(f, observation_shape=[3, 3]), r"must have 8 entries.*\(3, 3\)"),
        (lambda f: flip(f / "weights.safetensors"), "checksum is wrong"),
        (
            lambda f: save_file(load_file(f / "weights.safetensors"), f / "weights.safetensors"),
            "not ours: its checksum is wrong",
        ),
        (
            lambda f: edit_tensors(f, lambda t: t.update(action_low=torch.zeros(1, 2))),
            r"bounds of shapes \(1, 2\)",
        ),
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors is missing"),
        (lambda f: cut(f / "weights.safetensors"), "weights.safetensors is missing, cut off"),
        (lambda f: (f / "weights.safetensors").write_bytes(b""), "cut off or not safetensors"),
        (lambda f: edit_json(f, bytes=2**40), "bytes of numbers, 1099511627776 belong to it"),
        (lambda f: edit_tensors(f, lambda t: t.pop("network.0.bias")), "its weights are"),
        (lambda f: edit_tensors(f, lambda t: t.pop("action_low")), "'action_low' is missing"),
        (
            lambda f: edit_tensors(f, lambda t: t.update({"network.0.bias": torch.zeros(7)})),
            r"0.bias has shape \(7,\), the network's is \(9,\)",
        ),
        (
            lambda f: edit_tensors(f, lambda t: t.update(observation_std=torch.ones(7))),
            r"must both have shape \(8,\).* \(7,\)",
        ),
    ],
)
def test_bad_files(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make_policy("dense").save(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path)


def test_colours_out_of_range_are_refused(tmp_path: Path) -> None:
    make_policy("chromatic").save(tmp_path)
    edit_tensors(tmp_path, lambda t: t["network.0.colors"].fill_(-2))
    with pytest.raises(CheckpointError, match="0.colors takes integers from -1"):
        load_policy(tmp_path)


def test_observations_of_more_dimensions(tmp_path: Path) -> None:
    policy = make_policy("dense")
    grid = Policy(policy.network, policy.actions, spec=policy.spec, observation_shape=(2, 4))
    grid.save(tmp_path)
    flat = Policy(policy.network, policy.actions)
    for one in (grid, load_policy(tmp_path)):
        batch, _ = one.predict(OBSERVATIONS.reshape(-1, 2, 4))
        assert np.array_equal(batch, flat.predict(OBSERVATIONS)[0])
        assert np.array_equal(one.predict(OBSERVATIONS[0].reshape(2, 4))[0], batch[0])
        with pytest.raises(StructuredLayersError, match=r"shape \(2, 4\) or \(n, 2, 4\)"):
            one.predict(OBSERVATIONS)
        with pytest.raises(StructuredLayersError, match="got dict; flatten .*spaces.flatten"):
            one.predict({"position": OBSERVATIONS[0]})


def test_a_damaged_masked_policy(tmp_path: Path) -> None:
    make_policy("masked").save(tmp_path)
    edit_tensors(tmp_path, lambda t: t.update({"network.0.values": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match="does not hold a whole policy"):
        load_policy(tmp_path)
    edit_tensors(tmp_path, lambda t: t.pop("network.0.mask"))
    with pytest.raises(CheckpointError, match="its weights are"):
        load_policy(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist, so this is not a structured-layers"):
        load_policy(tmp_path / "nowhere")


def test_a_write_that_fails_leaves_the_old_policy(tmp_path: Path, monkeypatch) -> None:
    old = make_policy("chromatic")
    old.save(tmp_path)

    def fail(source: object, target: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            make_policy("chromatic").save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["policy.json", "weights.safetensors"]
    loaded = load_policy(tmp_path)
    assert np.array_equal(loaded.predict(OBSERVATIONS)[0], old.predict(OBSERVATIONS)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "hankle"}, "layer must be one of dense, .*, got 'hankle'"),
        ({"activation": "gelu"}, "activation must be one of tanh, .*, got 'gelu'"),
        ({"num_colors": 3}, "num_colors goes with layer='chromatic'.*num_colors=3"),
        ({"layer": "chromatic"}, "layer='chromatic' and num_colors=None"),
        (
            {"layer": "chromatic", "num_colors": 321},
            "between 1 and 320, the number of edges of this network, got 321",
        ),
    ],
)
def test_bad_specs(arguments: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        NetworkSpec(8, 2, **arguments)


@pytest.mark.parametrize("name", SPECS)
def test_specs_survive_json(name: str) -> None:
    data = json.loads(json.dumps(SPECS[name].to_json()))
    assert NetworkSpec.from_json(data) == SPECS[name]


@pytest.mark.parametrize("change", [{"depth": 3}, {"hidden": None}])
def test_a_spec_of_other_keys(change: dict) -> None:
    with pytest.raises(StructuredLayersError, match="not the description of a network"):
        NetworkSpec.from_json({**SPECS["dense"].to_json(), **change})
