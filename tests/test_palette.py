"""One palette for a whole network: it is shared, stays shared, and is drawn once."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from structured_layers import (
    ChromaticLinear,
    Palette,
    StructuredLayersError,
    mlp,
    tie_palettes_,
)


def make_network(num_colors: int = 5) -> nn.Sequential:
    return mlp(4, [8], 3, layer=partial(ChromaticLinear, palette=Palette(num_colors)))


def is_shared(network: nn.Sequential) -> bool:
    return network[0].values is network[2].values is network[0].palette.values


def dense(network: nn.Module, x: Tensor) -> Tensor:
    hidden, activation, output = network
    return output.to_linear()(activation(hidden.to_linear()(x)))


def trained(network: nn.Sequential) -> nn.Sequential:
    """Take one gradient step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return network


def test_a_network_has_the_weights_of_one_palette() -> None:
    network = make_network(17)
    assert is_shared(network)
    names = [name for name, _ in network.named_parameters()]
    assert names == ["0.bias", "0.values", "2.bias"]
    assert network[0].values.numel() == 17


def test_gradients_of_all_layers_add_up() -> None:
    network = make_network()
    x = torch.randn(6, 4)
    network(x).square().sum().backward()
    separate = copy.deepcopy(network)
    separate[2].values = nn.Parameter(network[2].values.detach().clone())
    separate.zero_grad()
    separate(x).square().sum().backward()
    torch.testing.assert_close(
        network[0].values.grad, separate[0].values.grad + separate[2].values.grad
    )


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_shares_its_own_palette(copied) -> None:
    network = trained(make_network())
    before = network[0].values.detach().clone()
    clone = copied(network)
    assert is_shared(clone)
    assert clone[0].palette is clone[2].palette is not network[0].palette
    trained(clone)
    assert not torch.equal(clone[0].values, before)
    assert torch.equal(network[0].values, before)
    assert is_shared(network)


def test_functional_call_substitutes_the_palette_everywhere_for_one_call() -> None:
    network, other = make_network(), make_network()
    before, x = network[0].values.detach().clone(), torch.randn(3, 4)
    other.load_state_dict({**network.state_dict(), **dict(other.named_parameters())}, strict=False)
    expected = copy.deepcopy(network)
    expected[0].values.data.copy_(other[0].values)
    substituted = functional_call(network, {"0.values": other[0].values}, x)
    torch.testing.assert_close(substituted, expected(x))
    assert torch.equal(network[0].values, before)
    assert is_shared(network)


def test_vmap_runs_networks_with_a_palette_each() -> None:
    networks = [trained(make_network()) for _ in range(3)]
    before = [network[0].values.detach().clone() for network in networks]
    x = torch.randn(3, 2, 4)
    parameters, buffers = stack_module_state(networks)
    together = vmap(lambda p, b, row: functional_call(networks[0], (p, b), row))(
        parameters, buffers, x
    )
    for network, row, values, result in zip(networks, x, before, together, strict=True):
        torch.testing.assert_close(result, network(row))
        assert torch.equal(network[0].values, values)
        assert is_shared(network)


def test_vmap_runs_on_a_skeleton_on_the_meta_device() -> None:
    networks = [make_network() for _ in range(2)]
    skeleton = tie_palettes_(copy.deepcopy(networks[0]).to("meta"))
    parameters, buffers = stack_module_state(networks)
    x = torch.randn(3, 4)
    together = vmap(lambda p, b: functional_call(skeleton, (p, b), x))(parameters, buffers)
    torch.testing.assert_close(together, torch.stack([network(x) for network in networks]))
    assert all(map(is_shared, networks))


@pytest.mark.parametrize("assign", [False, True])
def test_loading_keeps_or_restores_the_sharing(assign: bool) -> None:
    source, target = trained(make_network()), make_network()
    before = {name: t.clone() for name, t in source.state_dict().items()}
    target.load_state_dict(copy.deepcopy(source.state_dict()), assign=assign)
    assert is_shared(target) != assign
    assert tie_palettes_(target) is target
    assert is_shared(target)
    x = torch.randn(3, 4)
    torch.testing.assert_close(target(x), source(x))
    trained(target)
    assert all(torch.equal(t, before[name]) for name, t in source.state_dict().items())


@pytest.mark.parametrize("stored", ["0.values", "2.values"])
def test_tying_takes_the_values_that_a_file_stores_once(stored: str) -> None:
    source, target = make_network(), make_network()
    state = copy.deepcopy(source.state_dict())
    missing = ({"0.values", "2.values"} - {stored}).pop()
    del state[missing]
    assert target.load_state_dict(state, strict=False, assign=True).missing_keys == [missing]
    tie_palettes_(target)
    assert is_shared(target)
    assert torch.equal(target[0].values, source[0].values)


def test_a_network_made_on_meta_is_filled_and_tied() -> None:
    source = make_network()
    with torch.device("meta"):
        network = make_network()
    assert is_shared(network)
    network.to_empty(device="cpu")
    assert not is_shared(network)
    tie_palettes_(network).load_state_dict(source.state_dict())
    assert is_shared(network)
    torch.testing.assert_close(dense(network, torch.ones(4)), source(torch.ones(4)))


def test_reset_parameters_fills_layers_that_are_not_tied_yet() -> None:
    network = make_network().to("meta").to_empty(device="cpu")
    for layer in (network[0], network[2]):
        layer.reset_parameters()
        assert layer.values.abs().max() <= 1 / 6**0.5
    assert is_shared(tie_palettes_(network))


def test_moving_to_another_type_keeps_the_sharing() -> None:
    network = make_network().double()
    assert is_shared(network)
    assert network[0].palette.values.dtype == torch.float64


def test_two_palettes_stay_two() -> None:
    first, second = Palette(3), Palette(3)
    layers = [ChromaticLinear(4, 4, palette=palette) for palette in (first, second, first, 2)]
    network = tie_palettes_(nn.Sequential(*layers, nn.Linear(4, 4)))
    assert network[0].values is network[2].values is first.values
    assert network[1].values is second.values is not first.values
    assert network[3].values.numel() == 2


def test_an_untouched_draw_is_scaled_to_the_mean_fan_in() -> None:
    palette = Palette(200)
    unit_draw = palette.values.detach().clone()
    for fan_in, mean in ((4, 4), (16, 10), (1, 7)):
        ChromaticLinear(fan_in, 20, palette=palette)
        torch.testing.assert_close(palette.values.detach(), unit_draw / mean**0.5)
    assert palette.mean_fan_in == 7


def test_a_draw_that_changed_its_type_is_still_untouched() -> None:
    palette = Palette(20)
    layer = ChromaticLinear(4, 20, palette=palette).double()
    before = layer.values.detach().clone()
    ChromaticLinear(12, 20, palette=palette)
    torch.testing.assert_close(palette.values.detach(), before * (4 / 8) ** 0.5)


def write_through_data(palette: Palette) -> None:
    palette.values.data.add_(1)


def write_by_vector(palette: Palette) -> None:
    nn.utils.vector_to_parameters(torch.arange(5.0), [palette.values])


def write_by_optimizer(palette: Palette) -> None:
    palette.values.sum().backward()
    torch.optim.SGD([palette.values], lr=0.1).step()


def write_by_loading(palette: Palette) -> None:
    layer = ChromaticLinear(4, 4, palette=palette)
    layer.load_state_dict(ChromaticLinear(4, 4, palette=5).state_dict())


@pytest.mark.parametrize(
    "write", [write_through_data, write_by_vector, write_by_optimizer, write_by_loading]
)
def test_a_palette_that_was_written_to_is_not_changed_by_one_more_layer(write) -> None:
    palette = Palette(5)
    write(palette)
    before = palette.values.detach().clone()
    ChromaticLinear(9, 9, palette=palette)
    assert torch.equal(palette.values, before)


def test_reset_parameters_draws_for_all_layers_of_the_palette() -> None:
    network = trained(make_network(2))
    before = network[2].values.detach().clone()
    network[0].reset_parameters()
    assert is_shared(network)
    assert not torch.equal(network[2].values, before)
    assert network[2].values.abs().max() <= 1 / 6**0.5  # fan-ins 4 and 8


def test_reset_parameters_makes_a_scale_restore_the_gain_of_its_layer() -> None:
    palette = Palette(3)
    ChromaticLinear(4, 3, palette=palette)
    layer = ChromaticLinear(16, 3, palette=palette, scale=7.0)
    layer.reset_parameters()
    assert float(layer.scale.detach()) == pytest.approx((10 / 16) ** 0.5)


def test_more_colours_than_edges_are_fine_in_a_shared_palette() -> None:
    layer = ChromaticLinear(2, 2, palette=Palette(17))
    assert len(layer.colors.unique()) == 4


@pytest.mark.parametrize("num_colors", [0, -1, 2.0, True, None, "3"], ids=repr)
def test_bad_sizes(num_colors: object) -> None:
    with pytest.raises(StructuredLayersError, match="num_colors must be an integer of at least 1"):
        Palette(num_colors)


def test_repr() -> None:
    assert repr(Palette(17)) == "Palette(17)"
