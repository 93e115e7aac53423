"""What autoencoders of weights learn from: the start, states, mixed networks, and bad input."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from zoo_cases import small_zoo

from structured_layers import StructuredLayersError, to_dense
from structured_layers.algorithms.latent import (
    NetworkAutoencoder,
    PolicyZoo,
    TrainingSettings,
    WeightAutoencoder,
    fit_autoencoder,
    fit_linear_autoencoder,
)
from structured_layers.algorithms.latent.output_distance import (
    decode_layers,
    encode_layers,
    output_distance,
    refine_codes,
)
from structured_layers.algorithms.latent.training import (
    Networks,
    _draw_networks,
    train_autoencoders_,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_of(coder: NetworkAutoencoder, zoo: PolicyZoo) -> float:
    decoded = decode_layers(
        coder.autoencoders, encode_layers(coder.autoencoders, zoo.weights), zoo.weights
    )
    states = zoo.normalized_states()
    return float(output_distance(coder.network, decoded, zoo.weights, states).mean())


def uneven_zoo() -> PolicyZoo:
    """Policies whose first three hidden units vary most and do nothing."""
    zoo = small_zoo(30)
    weights = {name: value.clone() for name, value in zoo.weights.items()}
    weights["0.weight"][:, :3] *= 5
    weights["2.weight"][:, :, :3] = 0
    return replace(zoo, weights=weights)


def test_components_of_the_outputs_lose_less_of_them() -> None:
    zoo = uneven_zoo()
    losses = [
        loss_of(fit_linear_autoencoder(zoo, {"0": 3}, generator(), method=method), zoo)
        for method in ("output_components", "weight_components")
    ]
    assert losses[0] < 0.8 * losses[1]


def test_validation_networks_are_aligned_too() -> None:
    zoo = small_zoo()
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    other = {  # the same networks, their hidden units in another order
        "0.weight": zoo.weights["0.weight"][:, order],
        "0.bias": zoo.weights["0.bias"][:, order],
        "2.weight": zoo.weights["2.weight"][:, :, order],
        "2.bias": zoo.weights["2.bias"],
    }
    _, history = fit_autoencoder(
        zoo, replace(zoo, weights=other), {"0": 3}, generator(), aligned=True,
        settings=TrainingSettings(steps=1),
    )  # fmt: skip
    assert history.looks[0].validation == pytest.approx(history.looks[0].train, rel=1e-3)


def looks(states: torch.Tensor, **settings: Any) -> list[float]:
    zoo = small_zoo()
    networks = Networks(zoo.network(0), zoo.weights, states)
    torch.manual_seed(0)
    coders = {"0": WeightAutoencoder(6, 3, 2)}
    chosen = TrainingSettings(steps=2, evaluate_every=1, **settings)
    history = train_autoencoders_(coders, networks, networks, generator(), chosen)
    return [look.train for look in history.looks]


def test_random_states_are_no_visited_ones() -> None:
    states = small_zoo().normalized_states()
    assert looks(states, random_states=1.0) == looks(states + 9, random_states=1.0)
    assert looks(states, random_states=0.0) != looks(states + 9, random_states=0.0)


def test_mixed_networks_lie_between_two() -> None:
    zoo = small_zoo(5)
    numbers = torch.arange(5.0)  # all parameters of a network are its number
    weights = {n: numbers.view(-1, *[1] * (v.ndim - 1)) + 0 * v for n, v in zoo.weights.items()}
    networks = Networks(zoo.network(0), weights, zoo.normalized_states())
    for mixing, is_mixed in ((1.0, True), (0.0, False)):
        drawn = _draw_networks(networks, TrainingSettings(mixing=mixing), generator())
        rows = torch.cat([value.flatten(1) for value in drawn.values()], dim=1)
        assert (rows >= 0).all() and (rows <= 4).all()
        torch.testing.assert_close(rows, rows[:, :1].expand_as(rows))  # one share in all layers
        assert bool((rows != rows.round()).any()) == is_mixed


def test_refined_codes_are_the_best_of_the_way() -> None:
    zoo = small_zoo()
    coder = fit_linear_autoencoder(zoo, {"0": 4, "2": 3}, generator())
    states = zoo.normalized_states()
    form = coder.network
    with torch.no_grad():
        begun = decode_layers(
            coder.autoencoders, encode_layers(coder.autoencoders, zoo.weights), zoo.weights
        )
        before = output_distance(form, begun, zoo.weights, states)
    codes, parameters = refine_codes(
        coder.autoencoders, form, zoo.weights, states, steps=3, learning_rate=50.0
    )
    decoded = decode_layers(coder.autoencoders, codes, parameters)
    after = output_distance(form, decoded, zoo.weights, states)
    assert (after <= before * (1 + 1e-5)).all()  # steps this large lead away


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 2.5}, "steps must be an integer of at least 1, got 2.5"),
        ({"batch_size": True}, "batch_size must be an integer of at least 1, got True"),
        ({"patience": 0}, "patience must be an integer of at least 1, got 0"),
        ({"mixing": float("nan")}, "mixing must be a finite number from 0 to 1, got nan"),
        ({"random_states": -0.1}, "random_states must be a finite number from 0 to 1, got -0.1"),
        ({"weight_loss": float("nan")}, "weight_loss must be a finite number of at least 0"),
        ({"weight_loss": float("inf")}, "weight_loss must be a finite number of at least 0"),
        ({"weight_noise": -1.0}, "weight_noise must be a finite number of at least 0, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive, finite number"),
        ({"learning_rate": float("inf")}, "learning_rate must be a positive, finite number"),
        ({"output_limit": 0.0}, "output_limit must be a positive, finite number"),
        ({"output_limit": float("nan")}, "output_limit must be a positive, finite number"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        TrainingSettings(**settings)


def test_an_autoencoder_is_of_some_layers() -> None:
    zoo = small_zoo()
    with pytest.raises(StructuredLayersError, match="latent_sizes must name at least one layer"):
        fit_autoencoder(zoo, zoo, {}, generator())
    with pytest.raises(StructuredLayersError, match="latent_sizes must name at least one layer"):
        fit_linear_autoencoder(zoo, {}, generator())
    with pytest.raises(StructuredLayersError, match="layer '0' must be an integer from 1 to 18"):
        fit_linear_autoencoder(zoo, {"0": 2.5}, generator())  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refine_steps": -1}, "refine_steps must be an integer of at least 0, got -1"),
        ({"states": torch.zeros(5, 4)}, r"states must have shape \(S, 3\), .*got \(5, 4\)"),
        ({"states": torch.zeros(3)}, r"states must have shape \(S, 3\), .*got \(3,\)"),
        ({"states": torch.zeros(0, 3)}, r"states must have shape \(S, 3\), .*got \(0, 3\)"),
        ({"states": torch.full((5, 3), torch.nan)}, "states must be finite, got 15 of 15"),
        ({"output_limit": -1.0}, "output_limit must be a positive, finite number"),
    ],
    ids=["steps", "size", "row", "none", "nan", "limit"],
)
def test_refining_needs_states_of_such_networks(options: dict[str, Any], message: str) -> None:
    zoo = small_zoo()
    coder = fit_linear_autoencoder(zoo, {"0": 2}, generator())
    given = {"refine_steps": 2, "states": zoo.normalized_states(), **options}
    with pytest.raises(StructuredLayersError, match=message):
        coder.encode(zoo.network(0), **given)
    assert isinstance(to_dense(coder.encode(zoo.network(0)))[0], nn.Linear)
