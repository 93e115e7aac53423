"""Gates that are trained along with the weights."""

import math

import pytest
import torch
from torch import nn

from structured_layers import MaskedLinear, SoftMaskedLinear, StructuredLayersError
from structured_layers.layers.soft_masked import soft_mask


@pytest.mark.parametrize("density", [0.01, 0.25, 0.5, 0.99])
def test_the_layer_starts_at_the_density_asked_for(density: float) -> None:
    layer = SoftMaskedLinear(20, 30, initial_density=density)
    assert layer.num_weights == round(density * 600)


def test_at_least_one_edge_survives_at_the_start() -> None:
    assert SoftMaskedLinear(2, 3, initial_density=0.01).num_weights == 1


def test_gates_are_sigmoids_that_never_overflow() -> None:
    logits = torch.tensor([-1e4, -0.02, 0.0, 0.02, 1e4], requires_grad=True)
    gates = soft_mask(logits, 0.01)
    torch.testing.assert_close(gates, torch.sigmoid(logits / 0.01))
    gates.sum().backward()
    expected = (gates * (1 - gates) / 0.01).detach()
    torch.testing.assert_close(logits.grad, expected)


def test_values_and_logits_both_get_gradients() -> None:
    layer = SoftMaskedLinear(4, 3)
    layer(torch.randn(5, 4)).square().sum().backward()
    assert torch.count_nonzero(layer.values.grad) == 12
    assert torch.count_nonzero(layer.logits.grad) == 12


def test_hardening_keeps_the_surviving_edges() -> None:
    layer = SoftMaskedLinear(6, 5, initial_density=0.3).eval()
    state = torch.get_rng_state()
    plain = layer.harden()
    assert torch.equal(torch.get_rng_state(), state)
    assert type(plain) is MaskedLinear
    assert torch.equal(plain.mask, layer.mask)
    assert plain.num_weights == layer.num_weights == 9
    assert torch.equal(plain.weight, torch.where(layer.mask, layer.weight, 0.0))
    assert torch.equal(plain.bias, layer.bias)
    assert not plain.training
    before = layer.weight.detach().clone()
    with torch.no_grad():
        plain.values.add_(1)
    assert torch.equal(layer.weight, before)


def test_an_emptied_layer_hardens_to_one_without_edges() -> None:
    layer = SoftMaskedLinear(3, 2, bias=False)
    nn.init.constant_(layer.logits, -1.0)
    assert layer.num_weights == layer.harden().num_weights == 0
    assert layer.harden().bias is None


def test_from_linear_keeps_the_largest_weights() -> None:
    linear = nn.Linear(6, 5)
    layer = SoftMaskedLinear.from_linear(linear, initial_density=0.3)
    expected = MaskedLinear.from_linear(linear, num_edges=9)
    assert torch.equal(layer.mask, expected.mask)
    torch.testing.assert_close(layer.harden().weight, expected.weight)


def test_gradients_close_useless_gates() -> None:
    layer = SoftMaskedLinear(8, 1, bias=False, temperature=0.1, initial_density=0.9)
    x = torch.randn(256, 8)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(500):
        gates = soft_mask(layer.logits, layer.temperature)
        loss = (layer(x)[:, 0] - x[:, 0] + 2 * x[:, 1]).square().mean() + 0.05 * gates.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert layer.mask.tolist() == [[True, True] + [False] * 6]


@pytest.mark.parametrize("temperature", [0, -0.1, math.nan, math.inf, "0.1", None, True])
def test_bad_temperatures(temperature: object) -> None:
    with pytest.raises(StructuredLayersError, match="temperature must be a positive number, got"):
        SoftMaskedLinear(3, 2, temperature=temperature)
    with pytest.raises(StructuredLayersError, match="temperature must be a positive number, got"):
        SoftMaskedLinear.from_linear(nn.Linear(3, 2), temperature=temperature)


@pytest.mark.parametrize(
    ("temperature", "dtype"),
    [(1e-300, torch.float32), (1e-9, torch.float16), (1e5, torch.float16), (1e39, torch.float32)],
    ids=str,
)
def test_temperatures_that_the_type_cannot_hold(temperature: float, dtype: torch.dtype) -> None:
    message = f"temperature must lie between .* for logits of {dtype}, got"
    with pytest.raises(StructuredLayersError, match=message):
        SoftMaskedLinear(3, 2, temperature=temperature, dtype=dtype)
    with pytest.raises(StructuredLayersError, match=message):
        SoftMaskedLinear.from_linear(nn.Linear(3, 2, dtype=dtype), temperature=temperature)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_the_ends_of_what_the_type_can_hold(dtype: torch.dtype) -> None:
    for temperature in (torch.finfo(dtype).tiny, torch.finfo(dtype).max / 6):
        layer = SoftMaskedLinear(20, 30, temperature=temperature, dtype=dtype)
        assert layer.num_weights == 300
        assert bool(layer.weight.isfinite().all())


@pytest.mark.parametrize("density", [0, 1, 0.0, 1.0, -0.5, 2, math.nan, "half", None, True])
def test_bad_densities(density: object) -> None:
    with pytest.raises(StructuredLayersError, match="initial_density must lie between 0 and 1"):
        SoftMaskedLinear(3, 2, initial_density=density)
