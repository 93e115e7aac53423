"""What is kept with the autoencoder of a network, and which networks it takes."""

from pathlib import Path

import pytest
import torch
from torch import nn
from zoo_cases import small_zoo

from structured_layers import StructuredLayersError
from structured_layers.algorithms.latent import (
    NetworkAutoencoder,
    TrainingSettings,
    fit_autoencoder,
    fit_linear_autoencoder,
)


def test_statistics_are_kept_with_an_autoencoder(tmp_path: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    zoo = small_zoo()
    coder = fit_linear_autoencoder(zoo, {"0": 2, "2": 1}, draws)
    coder.save(tmp_path)
    loaded = NetworkAutoencoder.load(tmp_path)
    assert torch.equal(loaded.observation_mean, zoo.observation_mean)
    assert torch.equal(loaded.observation_std, zoo.observation_std)
    NetworkAutoencoder({"0": coder.autoencoders["0"]}, coder.network).save(tmp_path)
    assert NetworkAutoencoder.load(tmp_path).observation_mean is None
    assert [path.name for path in (tmp_path / "decoders").iterdir()] == ["0"]


def test_the_last_step_is_looked_at_and_codes_are_refined_without_gradients() -> None:
    draws = torch.Generator().manual_seed(0)
    parts = small_zoo().split(draws)
    settings = TrainingSettings(steps=7, evaluate_every=5)
    coder, history = fit_autoencoder(
        parts.train, parts.validation, {"0": 2}, draws, settings=settings
    )
    assert [look.step for look in history.looks] == [0, 5, 7]
    states = parts.test.normalized_states()
    with torch.no_grad():
        refined = coder.encode(parts.test.network(0), refine_steps=3, states=states)
    assert not torch.equal(refined[0].values, coder.encode(parts.test.network(0))[0].values)


def test_codes_are_of_one_activation() -> None:
    zoo = small_zoo()
    coder = fit_linear_autoencoder(zoo, {"0": 2}, torch.Generator().manual_seed(0))
    tanh = zoo.network(0)
    relu = nn.Sequential(tanh[0], nn.ReLU(), tanh[2])
    with pytest.raises(StructuredLayersError, match="codes mean nothing in"):
        coder.encode(relu)
    squashed = coder.encode(nn.Sequential(*tanh, nn.Tanh()))
    assert isinstance(squashed[3], nn.Tanh)
