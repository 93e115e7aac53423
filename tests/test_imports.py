"""The package loads only what it needs and keeps the names that it promises."""

import json
import subprocess
import sys

import pytest

import structured_layers

OPTIONAL = [
    "evotorch",
    "gymnasium",
    "matplotlib",
    "mujoco",
    "onnx",
    "pyglove",
    "ray",
    "rich",
    "sb3_contrib",
    "sklearn",
    "stable_baselines3",
    "tensorboard",
    "tyro",
]


def test_importing_the_package_loads_no_extra() -> None:
    code = "import json, sys, structured_layers; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(result.stdout))
    assert "structured_layers" in loaded
    assert loaded.isdisjoint(OPTIONAL), sorted(loaded.intersection(OPTIONAL))


@pytest.mark.parametrize("name", structured_layers.__all__)
def test_public_name_exists(name: str) -> None:
    assert getattr(structured_layers, name) is not None


def test_public_names_are_listed_once() -> None:
    names = structured_layers.__all__
    assert len(names) == len(set(names))


@pytest.mark.parametrize("subpackage", ["algorithms", "integrations"])
def test_subpackage_has_one_name(subpackage: str) -> None:
    __import__(f"structured_layers.{subpackage}")
    assert f"structured_layers.{subpackage}" in sys.modules
    assert subpackage not in sys.modules
