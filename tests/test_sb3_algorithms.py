"""Every algorithm trains every kind of structure, saves, loads and goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sb3_cases import (
    CASES,
    FULL_STEPS,
    QUICK_STEPS,
    STRUCTURES,
    actions,
    algorithm,
    make_env,
    make_model,
    named_tensors,
)
from stable_baselines3.common.base_class import BaseAlgorithm

from structured_layers import StructuredLinear
from structured_layers.integrations.sb3 import deployed_layers

every_algorithm = pytest.mark.parametrize("name", CASES)
every_structure = pytest.mark.parametrize("kind", STRUCTURES)


@every_algorithm
@every_structure
def test_train_save_load_resume(name: str, kind: str, tmp_path: Path) -> None:
    check_life(make_model(name, STRUCTURES[kind]), name, QUICK_STEPS, tmp_path)


@pytest.mark.slow
@every_algorithm
@every_structure
def test_train_save_load_resume_longer(name: str, kind: str, tmp_path: Path) -> None:
    check_life(make_model(name, STRUCTURES[kind]), name, FULL_STEPS, tmp_path)


def check_life(model: BaseAlgorithm, name: str, steps: int, folder: Path) -> None:
    started = deployed_values(model)
    model.learn(steps)
    assert model.num_timesteps >= steps
    assert_trained(started, deployed_values(model))
    model.save(folder / "model.zip")
    loaded = algorithm(name).load(folder / "model.zip", env=make_env(CASES[name]), device="cpu")
    assert type(loaded.policy) is type(model.policy)
    for (key, saved), (other, tensor) in zip(
        named_tensors(model.policy), named_tensors(loaded.policy), strict=True
    ):
        assert key == other
        assert torch.equal(saved, tensor), key
    assert np.array_equal(actions(model), actions(loaded))
    resumed = deployed_values(loaded)
    loaded.learn(steps, reset_num_timesteps=False)
    assert loaded.num_timesteps >= 2 * steps
    assert_trained(resumed, deployed_values(loaded))


def deployed_values(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Return the values of each layer that is deployed, all of which have to be structured."""
    layers = deployed_layers(model.policy)
    assert len(layers) >= 2
    assert all(isinstance(layer, StructuredLinear) for layer in layers.values())
    return {name: layer.values.detach().clone() for name, layer in layers.items()}


def assert_trained(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> None:
    for name, values in before.items():
        assert after[name].isfinite().all(), name
        assert not torch.equal(values, after[name]), name
