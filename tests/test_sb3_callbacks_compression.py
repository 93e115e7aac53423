"""The log says how large actor and critic are, for every algorithm."""

from pathlib import Path

import pytest
import torch
from sb3_cases import CASES, make_model
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger

from structured_layers import StructuredLayersError, summarize
from structured_layers.integrations.sb3 import deployed_layers
from structured_layers.integrations.sb3.callbacks import CompressionCallback
from structured_layers.integrations.sb3.callbacks import compression as module
from structured_layers.integrations.sb3.callbacks.compression import network_sizes

CHROMATIC = {"layer": "chromatic", "num_colors": 5, "learn_colors": True, "target": "all"}
WITHOUT_CRITIC = ("DQN", "QRDQN", "ARS")


class Writer(KVWriter):
    """Keep what would be written."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def write(self, key_values: dict, key_excluded: dict, step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


def learn(model: BaseAlgorithm, steps: int, **keywords: object) -> list[dict[str, object]]:
    writer = Writer()
    model.set_logger(Logger(None, [writer]))
    model.learn(steps, callback=CompressionCallback(**keywords), log_interval=1)
    return [row for row in writer.rows if row]


@pytest.mark.parametrize("name", CASES)
def test_every_row_has_the_sizes(name: str) -> None:
    structure = {**CHROMATIC, "target": "actor"} if name in WITHOUT_CRITIC else CHROMATIC
    model = make_model(name, structure)
    rows = learn(model, 250)
    assert rows
    actor = summarize(torch.nn.ModuleList(deployed_layers(model.policy).values()))
    for row in rows:
        assert row["compression/actor_weights"] == actor.weights
        assert row["compression/actor_density"] == 1
        assert 1 <= row["compression/actor_colors"] <= actor.weights
        assert row["compression/actor_bits"] > 32 * (actor.weights + actor.biases)
        assert ("compression/critic_bits" in row) is (name not in WITHOUT_CRITIC)


def test_the_schemes_of_bits_differ() -> None:
    model = make_model("PPO", CHROMATIC)
    summary = summarize(torch.nn.ModuleList(deployed_layers(model.policy).values()))
    for scheme in ("paper", "bitmask", "coordinates", "entropy"):
        assert network_sizes(model.policy, scheme)["actor_bits"] == summary.bits[scheme]


def test_density_and_colours_are_those_of_the_edges() -> None:
    actor, critic = {"layer": "masked", "num_edges": 12}, {"layer": "chromatic", "num_colors": 9}
    model = make_model("PPO", [actor, {**critic, "target": "critic"}])
    edges = 4 * 8 + 8 * 2
    sizes = network_sizes(model.policy)
    assert sizes["actor_density"] == 12 / edges
    assert sizes["actor_weights"] == 12
    assert "actor_colors" not in sizes
    assert sizes["critic_colors"] == 9
    for layer in module.critic_layers(model.policy).values():
        layer.colors[layer.colors > 3] = -1
    assert network_sizes(model.policy)["critic_colors"] == 4
    assert network_sizes(model.policy)["critic_density"] < 1


def test_sizes_are_counted_every_log_freq_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    model = make_model("A2C", {"layer": "toeplitz"})

    def counted(policy: torch.nn.Module, bits: str) -> dict[str, float]:
        counts.append(model.num_timesteps)
        return {"actor_weights": 1}

    monkeypatch.setattr(module, "network_sizes", counted)
    rows = learn(model, 100, log_freq=50)
    assert counts == [0, 50, 100]
    assert all("compression/actor_weights" in row for row in rows)


def test_a_dense_policy_is_counted_too() -> None:
    model = make_model("PPO", policy="MlpPolicy")
    assert learn(model, 32)[0]["compression/actor_weights"] == 4 * 8 + 8 * 2


def test_bad_scheme() -> None:
    with pytest.raises(StructuredLayersError, match="bits must be one of paper"):
        CompressionCallback(bits="zip")


@pytest.mark.parametrize("log_freq", [0, -1, 1.5, "a"])
def test_bad_frequency(log_freq: object) -> None:
    with pytest.raises(StructuredLayersError, match="log_freq must be an integer of at least 1"):
        CompressionCallback(log_freq)


def test_a_policy_without_linear_layers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = make_model("PPO", policy="MlpPolicy")
    monkeypatch.setattr(module, "deployed_layers", lambda policy: {})
    with pytest.raises(StructuredLayersError, match="no linear layers, so there is nothing"):
        model.learn(32, callback=CompressionCallback())
