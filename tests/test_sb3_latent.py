"""Latent layers in policies of Stable-Baselines3: trained, saved and loaded without a folder."""

import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sb3_cases import CASES, actions, algorithm, make_env, make_model, observations
from torch import nn

from structured_layers import (
    LatentLinear,
    StructuredLayersError,
    WeightDecoder,
    load_policy,
    summarize,
)
from structured_layers.integrations.sb3 import compress, convert_policy, deployed_policy
from structured_layers.layers.decoder_files import save_decoder

ROOT = Path(__file__).parents[1]
FIRST = {
    "PPO": "mlp_extractor.policy_net.0",
    "SAC": "actor.latent_pi.0",
    "TD3": "actor.mu.0",
    "ARS": "action_net.0",
}
FRESH_PROCESS = """
import sys
import numpy as np
import stable_baselines3
for name in sys.argv[1:]:
    model = getattr(stable_baselines3, name).load(name, device="cpu")
    seen = np.load(f"{name}.npz")
    answers = model.predict(seen["observations"], deterministic=True)[0]
    assert np.array_equal(answers, seen["actions"]), name
"""


def folder_for(name: str, folder: Path) -> Path:
    """A decoder of the first layer, whose numbers no seed of a model makes."""
    torch.manual_seed(99)
    inputs = make_env(CASES[name]).observation_space.shape[0]
    save_decoder(WeightDecoder(8, inputs, 3, hidden=(5,)), folder)
    return folder


def structure_for(name: str, folder: Path) -> dict:
    return {"layer": "latent", "decoder": str(folder_for(name, folder)), "target": [FIRST[name]]}


def decoders(module: nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in module.state_dict().items() if ".decoder_" in n}


@pytest.mark.parametrize("name", FIRST)
def test_a_life_without_the_folder(name: str, tmp_path: Path) -> None:
    model = make_model(name, structure_for(name, tmp_path / "decoder"))
    shutil.rmtree(tmp_path / "decoder")
    layer = model.policy.get_submodule(FIRST[name])
    assert isinstance(layer, LatentLinear)
    fixed, code = decoders(model.policy), layer.values.detach().clone()
    model.learn(800 if name == "ARS" else 64)
    assert not torch.equal(layer.values, code)
    model.save(tmp_path / "model.zip")
    loaded = algorithm(name).load(tmp_path / "model.zip", env=make_env(CASES[name]))
    assert np.array_equal(actions(loaded), actions(model))
    loaded.learn(800 if name == "ARS" else 32, reset_num_timesteps=False)
    for trained in (model, loaded):
        now = decoders(trained.policy)
        assert fixed
        assert fixed.keys() == now.keys()
        assert all(torch.equal(tensor, now[key]) for key, tensor in fixed.items())
    assert not torch.equal(loaded.policy.get_submodule(FIRST[name]).values, layer.values)


def test_load_in_a_fresh_process(tmp_path: Path) -> None:
    names = ["PPO", "SAC", "TD3"]
    for name in names:
        model = make_model(name, structure_for(name, tmp_path / "decoder"))
        model.save(tmp_path / name)
        seen = {"observations": observations(model), "actions": actions(model)}
        np.savez(tmp_path / f"{name}.npz", **seen)
        shutil.rmtree(tmp_path / "decoder")
    result = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, *names],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_target_networks_have_the_same_decoder(tmp_path: Path) -> None:
    model = make_model("TD3", structure_for("TD3", tmp_path / "decoder"))
    model.learn(64)
    layer, target = model.policy.actor.mu[0], model.policy.actor_target.mu[0]
    assert isinstance(target, LatentLinear)
    assert all(torch.equal(b, target.get_buffer(n)) for n, b in layer.named_buffers())
    assert not torch.equal(layer.values, target.values)  # which Polyak averaging moves


def test_the_structure_holds_the_decoder_afterwards(tmp_path: Path) -> None:
    structure = structure_for("PPO", tmp_path / "decoder")
    first = make_model("PPO", structure)
    shutil.rmtree(tmp_path / "decoder")
    assert structure["decoder"].keys() >= {"latent_size", "hidden", "tensors"}
    first.save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert json.loads(archive.read("data"))["policy_kwargs"]["structure"] == structure
    second = make_model("PPO", structure)  # not another decoder that happens to have this form
    fixed = decoders(first.policy)
    assert all(torch.equal(t, fixed[key]) for key, t in decoders(second.policy).items())


def test_policy_files_need_no_folder(tmp_path: Path) -> None:
    model = make_model("SAC", structure_for("SAC", tmp_path / "decoder"))
    shutil.rmtree(tmp_path / "decoder")
    model.policy.save(tmp_path / "policy.pth")
    loaded = type(model.policy).load(tmp_path / "policy.pth", device="cpu")
    seen = observations(model)
    assert np.array_equal(loaded.predict(seen, deterministic=True)[0], actions(model))


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_deployed_policies_hold_the_decoder(name: str, tmp_path: Path) -> None:
    model = make_model(name, structure_for(name, tmp_path / "decoder"))
    model.learn(64)
    policy = deployed_policy(model)
    policy.save(tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    seen = observations(model)
    assert np.array_equal(loaded.predict(seen)[0], policy.predict(seen)[0])
    np.testing.assert_allclose(loaded.predict(seen)[0], actions(model), atol=1e-5)
    assert summarize(loaded.network).weights < summarize(loaded.network).dense_weights


def test_a_decoder_can_be_a_module(tmp_path: Path) -> None:
    torch.manual_seed(5)
    decoder = WeightDecoder(8, 3, 2)
    structure = {"layer": "latent", "decoder": decoder, "target": [FIRST["TD3"]]}
    model = make_model("TD3", structure)
    taken = model.policy.get_submodule(FIRST["TD3"]).decoder
    assert all(torch.equal(t, taken.state_dict()[n]) for n, t in decoder.state_dict().items())
    model.save(tmp_path / "model.zip")
    loaded = algorithm("TD3").load(tmp_path / "model.zip")
    assert np.array_equal(actions(loaded), actions(model))


def test_compressed_models_need_no_folder(tmp_path: Path) -> None:
    model = make_model("TD3")
    folder = folder_for("TD3", tmp_path / "decoder")
    small = compress(model, "latent", decoder=str(folder), target=[FIRST["TD3"]], distill=False)
    shutil.rmtree(folder)
    small.save(tmp_path / "model.zip")
    loaded = algorithm("TD3").load(tmp_path / "model.zip", env=make_env(CASES["TD3"]))
    assert np.array_equal(actions(loaded), actions(small))
    loaded.learn(32)


def test_errors_leave_policy_and_structure_as_they_were(tmp_path: Path) -> None:
    structure = structure_for("PPO", tmp_path / "decoder")
    policy = make_model("PPO").policy
    for wrong, message in (
        ({**structure, "target": "actor"}, "action_net: a layer 8 → 2 needs a decoder"),
        ({**structure, "decoder": str(tmp_path / "none")}, "decoder.json does not exist"),
        ({**structure, "decoder": 3}, "decoder must be a module"),
        ({"layer": "latent"}, "LatentLinear needs decoder"),
    ):
        given = copy.deepcopy(wrong)
        before = decoders(policy) | dict(policy.named_parameters())
        with pytest.raises(StructuredLayersError, match=message):
            convert_policy(policy, wrong)
        with pytest.raises(StructuredLayersError, match=message):
            make_model("PPO", wrong)
        assert wrong == given
        assert dict(policy.named_parameters()).keys() == before.keys()
