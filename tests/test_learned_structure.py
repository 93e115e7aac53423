"""Colours and masks that gradients learn, and what is left when they have."""

import copy
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO

import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    Palette,
    PopulationPolicy,
    StructuredLayersError,
    StructuredLinear,
    mlp,
    tie_palettes_,
    topology_size,
    topology_to_vector,
)
from structured_layers.layers.straight_through import nearest_colors, palette_units, scaled_gradient

MAKERS = {
    "colors": partial(ChromaticLinear, 6, 5, palette=4, learn_colors=True),
    "mask": partial(MaskedLinear, 6, 5, learn_mask=True, num_edges=7),
}
LEARNING = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def gradient_of_weight(layer: StructuredLinear) -> tuple[Tensor, Tensor]:
    """Backpropagate a random gradient of the weight; return it and that of the dense weight."""
    upstream = torch.randn(layer.out_features, layer.in_features)
    (layer.weight * upstream).sum().backward()
    if isinstance(layer, ChromaticLinear):  # the dense weight is scale · √6 · shadow
        return upstream, layer.shadow.grad / (layer.scale.detach() * 6**0.5)
    return upstream, layer.values.grad


def dense_weight(layer: ChromaticLinear) -> Tensor:
    """Return the weight that a shadow stands for."""
    return (layer.scale * palette_units(layer.shadow)).detach()


@LEARNING
def test_the_gradient_goes_straight_to_the_dense_values(make: partial) -> None:
    upstream, gradient = gradient_of_weight(make())
    torch.testing.assert_close(gradient, upstream)


def test_palette_and_scale_get_scaled_down_sums() -> None:
    layer = MAKERS["colors"]()
    upstream, _ = gradient_of_weight(layer)
    colors, factor = layer.colors, 30**-0.5  # 30 edges
    sums = torch.stack([upstream[colors == color].sum() for color in range(4)])
    torch.testing.assert_close(layer.values.grad, factor * layer.scale.detach() * sums)
    shown = layer.values.detach()[colors]
    torch.testing.assert_close(layer.scale.grad, factor * (upstream * shown).sum())


def test_scaled_gradients_leave_the_values_alone() -> None:
    values = torch.randn(50, requires_grad=True)
    assert torch.equal(scaled_gradient(values, 0.3), values)


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_every_edge_shows_the_nearest_color(sign: float) -> None:
    layer = MAKERS["colors"]()
    with torch.no_grad():
        layer.values.normal_()
        layer.scale.mul_(sign)
    entries = palette_units(layer.shadow).detach()
    error = (layer.values.detach()[layer.colors] - entries).abs()
    for center in layer.values.detach():
        assert bool((error <= (center - entries).abs() + 1e-6).all())
    assert torch.equal(layer.weight.detach(), layer.scale * layer.values[layer.colors])


def test_one_color_is_always_the_nearest() -> None:
    assert torch.equal(nearest_colors(torch.randn(2, 3), torch.ones(1)), torch.zeros(2, 3).long())


@LEARNING
def test_learning_layers_have_no_topology_until_they_are_hardened(make: partial) -> None:
    layer = make()
    assert topology_size(layer) == 0
    with pytest.raises(StructuredLayersError, match="no structure buffer .* it has \\[\\]"):
        layer.topology_range("colors" if isinstance(layer, ChromaticLinear) else "mask")
    structure = layer.colors if isinstance(layer, ChromaticLinear) else layer.mask
    assert torch.equal(topology_to_vector(layer.harden()), structure.flatten().long())


@LEARNING
def test_hardened_layers_are_plain_equal_and_drawn_from_nothing(make: partial) -> None:
    layer = make().eval()
    state = torch.get_rng_state()
    plain = layer.harden()
    assert torch.equal(torch.get_rng_state(), state)
    assert type(plain) is type(layer)
    assert torch.equal(plain.weight, layer.weight)
    assert torch.equal(plain.bias, layer.bias)
    assert plain.bias is not layer.bias
    assert plain.num_weights == layer.num_weights
    assert not plain.training
    assert plain.harden() is plain
    assert "learn" not in repr(plain)
    assert "learn" in repr(layer)
    assert plain(torch.randn(2, 6)).requires_grad


@LEARNING
def test_hardened_layers_do_not_move_their_structure_when_trained(make: partial) -> None:
    plain = make().harden()
    structure = topology_to_vector(plain)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        plain(torch.randn(8, 6)).square().sum().backward()
        optimizer.step()
    assert torch.equal(topology_to_vector(plain), structure)
    plain.load_state_dict(copy.deepcopy(plain).state_dict())


@LEARNING
def test_states_of_learning_and_hardened_layers_are_not_confused(make: partial) -> None:
    layer = make()
    with pytest.raises(RuntimeError, match="Error"):
        layer.harden().load_state_dict(layer.state_dict())


def learning_network(palette: Palette) -> nn.Sequential:
    return mlp(6, [12], 3, layer=partial(ChromaticLinear, palette=palette, learn_colors=True))


def test_a_shared_palette_stays_shared_through_hardening() -> None:
    palette = Palette(5)
    network = learning_network(palette)
    plain = nn.Sequential(network[0].harden(), nn.Tanh(), network[2].harden())
    assert plain[0].values is plain[2].values is palette.values
    x = torch.randn(7, 6)
    torch.testing.assert_close(plain(x), network(x), rtol=0, atol=0)


def test_layers_of_different_fan_in_start_from_one_palette() -> None:
    network = learning_network(Palette(9))
    for layer in (network[0], network[2]):
        error = (layer.weight.detach() - dense_weight(layer)).norm()
        assert float(error / dense_weight(layer).norm()) < 0.2
        assert bool((torch.bincount(layer.colors.flatten(), minlength=9) > 0).all())


def test_a_used_palette_is_not_overwritten() -> None:
    palette = Palette(5)
    plain = ChromaticLinear(6, 4, palette=palette)
    before = plain.weight.detach().clone()
    layer = ChromaticLinear(6, 4, palette=palette, learn_colors=True)
    assert torch.equal(plain.weight, before)
    error = (layer.weight.detach() - dense_weight(layer)).norm()
    assert float(error) < float(dense_weight(layer).norm())


def test_ties_of_a_learning_network_are_restored() -> None:
    network = learning_network(Palette(5))
    network.load_state_dict(network.state_dict(), assign=True)
    assert tie_palettes_(network)[0].values is network[2].values


def test_a_given_scale_is_kept() -> None:
    layer = ChromaticLinear(6, 5, palette=4, learn_colors=True, scale=0.25)
    assert torch.equal(layer.scale.detach(), torch.tensor(0.25))
    assert layer.harden().scale.item() == 0.25


@torch.no_grad()
def test_a_growing_gain_keeps_the_colors() -> None:
    layer = MAKERS["colors"]()
    before = layer.colors
    layer.scale.mul_(5)
    assert torch.equal(layer.colors, before)


def test_a_dense_layer_of_zeros_can_learn_its_colors() -> None:
    linear = nn.Linear(6, 5)
    nn.init.zeros_(linear.weight)
    layer = ChromaticLinear.from_linear(linear, palette=Palette(4), learn_colors=True)
    assert not layer.weight.any() and len(layer.colors.unique()) > 1


def test_reset_parameters_starts_over() -> None:
    layer = MAKERS["colors"]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(7.0)
    layer.reset_parameters()
    assert len(layer.colors.unique()) == 4
    torch.testing.assert_close(layer.values.square().mean(), torch.tensor(1.0))


def test_from_linear_starts_learning_at_the_given_weights() -> None:
    linear = nn.Linear(6, 5)
    plain = ChromaticLinear.from_linear(linear, palette=4)
    for structure in ({"palette": 4}, {"palette": Palette(4)}):
        layer = ChromaticLinear.from_linear(linear, **structure, learn_colors=True)
        torch.testing.assert_close(dense_weight(layer), linear.weight.detach())
    layer = ChromaticLinear.from_linear(linear, num_colors=4, learn_colors=True)
    torch.testing.assert_close(layer.weight, plain.weight)
    learning = MaskedLinear.from_linear(linear, num_edges=7, learn_mask=True)
    assert torch.equal(learning.values, linear.weight)
    assert torch.equal(learning.weight, MaskedLinear.from_linear(linear, num_edges=7).weight)


@pytest.mark.parametrize(
    "make",
    [MAKERS["mask"], *(lambda make=make: make().harden() for make in MAKERS.values())],
    ids=["mask", *(f"hardened-{name}" for name in MAKERS)],
)
def test_the_older_onnx_exporter(make: Callable[[], StructuredLinear]) -> None:
    layer = make()
    x, file = torch.randn(3, 6), BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated
        torch.onnx.export(layer, (x,), file, dynamo=False, input_names=["x"])
    (output,) = ReferenceEvaluator(file.getvalue()).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(output), layer(x).detach())


@LEARNING
def test_populations_run_learning_layers(make: partial) -> None:
    network = nn.Sequential(make(), nn.Tanh())
    weights = torch.randn(4, sum(p.numel() for p in network.parameters()))
    population = PopulationPolicy(network, weights)
    observations = torch.randn(4, 6)
    for row in range(4):
        nn.utils.vector_to_parameters(weights[row], network.parameters())
        expected = network(observations[row]).detach()
        torch.testing.assert_close(
            torch.from_numpy(population.act(observations.numpy())[row]), expected
        )


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@LEARNING
def test_plain_optimizers_fit_better_than_a_fixed_random_structure(
    make: partial, optimizer: type[torch.optim.Optimizer]
) -> None:
    target = MaskedLinear(6, 5, mask=torch.rand(5, 6) < 0.25).requires_grad_(False)
    is_chromatic = make.func is ChromaticLinear
    fixed = (
        ChromaticLinear(6, 5, palette=4)
        if is_chromatic
        else MaskedLinear(6, 5, mask=(torch.randperm(30) < 7).view(5, 6))
    )
    x = torch.randn(256, 6)

    def fitted(layer: StructuredLinear) -> float:
        trainer = optimizer(layer.parameters(), lr=0.1)
        for _ in range(400):
            loss = (layer(x) - target(x)).square().mean()
            trainer.zero_grad()
            loss.backward()
            trainer.step()
        return float((layer(x) - target(x)).square().mean().detach())

    assert fitted(make()) < 0.5 * fitted(fixed)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ChromaticLinear(
                2, 2, palette=2, colors=torch.zeros(2, 2).long(), learn_colors=True
            ),
            "learn_colors=True derives the colours from the shadow, got colors as well",
        ),
        (
            lambda: ChromaticLinear.from_linear(
                nn.Linear(2, 2), palette=2, colors=torch.zeros(2, 2).long(), learn_colors=True
            ),
            "got colors as well",
        ),
        (lambda: ChromaticLinear(2, 2, palette=5, learn_colors=True), "between 1 and 4"),
        (
            lambda: MaskedLinear(2, 2, num_edges=2),
            "num_edges goes with learn_mask=True, got num_edges=2 without it",
        ),
        (
            lambda: MaskedLinear(
                2, 2, learn_mask=True, num_edges=2, mask=torch.ones(2, 2, dtype=torch.bool)
            ),
            "learn_mask=True derives the mask from the values, got a mask as well",
        ),
        (lambda: MaskedLinear(2, 2, learn_mask=True), "between 1 and 4 .* got None"),
        (lambda: MaskedLinear(2, 2, learn_mask=True, num_edges=0), "between 1 and 4 .* got 0"),
        (lambda: MaskedLinear(2, 2, learn_mask=True, num_edges=5), "between 1 and 4 .* got 5"),
        (lambda: MaskedLinear(2, 2, learn_mask=True, num_edges=True), "got True"),
    ],
)
def test_bad_input(make: object, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make()
