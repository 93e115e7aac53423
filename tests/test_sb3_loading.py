"""Zips and policy files that other processes, thread counts and devices can read."""

import base64
import io
import json
import os
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from markdown_blocks import ROOT
from sb3_cases import CASES, STRUCTURES, actions, algorithm, make_model, observations
from stable_baselines3 import PPO, SAC

from structured_layers.integrations.sb3 import policies

NAMES = {
    "PPO": "masked",
    "SAC": "chromatic",
    "DQN": "masked",
    "TRPO": "toeplitz",
    "RecurrentPPO": "chromatic",
    "ARS": "chromatic",
}
FRESH_PROCESS = """
import sys
import numpy as np
import torch
import stable_baselines3
import structured_layers
assert "structured_layers.integrations.sb3" not in sys.modules
torch.set_num_threads(2)
for argument in sys.argv[1:]:
    package, name = argument.split(".")
    model = getattr(__import__(package), name).load(name, device="cpu")
    seen = np.load(f"{name}.npz")
    answers = model.predict(seen["observations"], deterministic=True)[0]
    assert np.array_equal(answers, seen["actions"]), name
    print(type(model.policy).__module__, type(model.policy).__name__)
"""


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", CASES)
def test_zips_store_the_class_by_name(name: str, kind: str, tmp_path: Path) -> None:
    model = make_model(name, STRUCTURES[kind])
    model.save(tmp_path / "model.zip")
    data = read_data(tmp_path / "model.zip")
    pickled = base64.b64decode(data["policy_class"][":serialized:"])
    strings = {arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)}
    assert {policies.__name__, type(model.policy).__name__} <= strings
    assert len(pickled) < 200
    if ":type:" not in data["policy_kwargs"]:  # lists and numbers are stored as they are
        assert data["policy_kwargs"]["structure"] == STRUCTURES[kind]


def read_data(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("data"))


def test_load_in_a_fresh_process(tmp_path: Path) -> None:
    expected = []
    for name, kind in NAMES.items():
        model = make_model(name, STRUCTURES[kind])
        model.learn(64)
        model.save(tmp_path / name)
        seen = {"observations": observations(model), "actions": actions(model)}
        np.savez(tmp_path / f"{name}.npz", **seen)
        expected.append(f"{policies.__name__} {type(model.policy).__name__}")
    result = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, *(f"{package(name)}.{name}" for name in NAMES)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == expected


def package(name: str) -> str:
    return CASES[name].package.__name__


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("cls", [PPO, SAC])
def test_a_zip_made_on_a_gpu_loads_on_the_cpu(cls: type, kind: str, tmp_path: Path) -> None:
    model = make_model(cls.__name__, STRUCTURES[kind])
    model.learn(64)
    model.save(tmp_path / "model.zip")
    tag_as_cuda(tmp_path / "model.zip", tmp_path / "cuda.zip")
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(io.BytesIO(read(tmp_path / "cuda.zip", "policy.pth")), weights_only=True)
    loaded = cls.load(tmp_path / "cuda.zip", env=model.get_env(), device="cpu")
    assert {p.device.type for p in loaded.policy.parameters()} == {"cpu"}
    assert np.array_equal(actions(model), actions(loaded))
    loaded.learn(32, reset_num_timesteps=False)


def read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def tag_as_cuda(source: Path, target: Path) -> None:
    """Copy a model's zip with all tensors marked as lying on the first GPU."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, tagged(content) if name.endswith(".pth") else content)


def tagged(content: bytes) -> bytes:
    """Return a file of torch.save with the location of every storage rewritten."""
    cpu, cuda = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"  # pickled strings
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part.replace(cpu, cuda) if name.endswith("data.pkl") else part)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", CASES)
def test_policy_files(name: str, kind: str, tmp_path: Path) -> None:
    model = make_model(name, STRUCTURES[kind])
    model.learn(64)
    model.policy.save(tmp_path / "policy.pth")
    cls = type(model.policy)
    torch.manual_seed(123)
    loaded = cls.load(tmp_path / "policy.pth", device="cpu")
    assert loaded.structure == STRUCTURES[kind]
    seen = observations(model)
    assert np.array_equal(loaded.predict(seen, deterministic=True)[0], actions(model))


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("name", CASES)
def test_set_parameters(name: str, kind: str) -> None:
    trained, other = make_model(name, STRUCTURES[kind]), make_model(name, STRUCTURES[kind])
    trained.learn(64)
    other.set_parameters(trained.get_parameters(), device="cpu")
    assert np.array_equal(actions(trained), actions(other))
    for (key, mine), (_, theirs) in zip(
        trained.policy.state_dict().items(), other.policy.state_dict().items(), strict=True
    ):
        assert torch.equal(mine, theirs), key
    other.learn(32, reset_num_timesteps=False)


def test_thread_counts_do_not_matter(tmp_path: Path) -> None:
    model = make_model("SAC", STRUCTURES["chromatic"], net_arch=[64, 64])
    model.save(tmp_path / "model.zip")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        loaded = algorithm("SAC").load(tmp_path / "model.zip", device="cpu")
        for name, tensor in model.policy.state_dict().items():
            assert torch.equal(tensor, loaded.policy.state_dict()[name])
    finally:
        torch.set_num_threads(before)
