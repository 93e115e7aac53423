"""Latent layers beyond the contract: their decoders, fits, draws, networks, searches and files."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers import (
    LatentLinear,
    Policy,
    PopulationPolicy,
    StructuredLayersError,
    WeightDecoder,
    convert_,
    load_policy,
    mlp,
    summarize,
    to_dense,
)
from structured_layers.actions import BoxActions
from structured_layers.algorithms import ES
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.layers.decoder_files import save_decoder
from structured_layers.sequential_spec import SequentialSpec
from structured_layers.specs import NetworkSpec


def made(rows: int = 4, columns: int = 5, size: int = 3, hidden: tuple[int, ...] = (6,)):
    torch.manual_seed(rows + 7 * columns)
    return WeightDecoder(rows, columns, size, hidden)


def latent_network() -> nn.Sequential:
    first, last = made(6, 8), made(2, 6, size=2)
    network = mlp(8, [6], 2)
    convert_(network, {"0": ("latent", {"decoder": first}), "2": ("latent", {"decoder": last})})
    return network


class Branched(nn.Module):
    """A decoder that is no WeightDecoder, whose tensors' names are alike."""

    latent_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Module()
        self.a.b_c = nn.Parameter(torch.randn(20, 2))
        self.a_b = nn.Module()
        self.a_b.c = nn.Parameter(torch.randn(20, 2))
        self.register_buffer("step", torch.tensor(3))
        self.dropped = nn.Dropout(0.9)

    def forward(self, z: Tensor) -> Tensor:
        product = z @ self.a.b_c.T + z.square() @ self.a_b.c.T
        return self.dropped(product).reshape(*z.shape[:-1], 4, 5)


def test_only_code_and_bias_are_trained() -> None:
    decoder = made()
    layer = LatentLinear(5, 4, decoder=decoder)
    assert {name for name, _ in layer.named_parameters()} == {"values", "bias"}
    before = {n: b.clone() for n, b in layer.named_buffers()}
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    x, y = torch.randn(30, 5), torch.randn(30, 4)
    losses = []
    for _ in range(60):
        loss = (layer(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(b, before[n]) for n, b in layer.named_buffers())
    assert all(p.grad is None for p in decoder.parameters())


def test_the_layer_has_a_copy_of_its_decoder() -> None:
    decoder = made()
    layer = LatentLinear(5, 4, decoder=decoder)
    before = layer.weight.clone()
    given = copy.deepcopy(decoder)
    with torch.no_grad():
        decoder.layers[0].weight.add_(1)
    assert torch.equal(layer.weight, before)
    taken = layer.decoder
    assert all(torch.equal(t, given.state_dict()[n]) for n, t in taken.state_dict().items())
    assert not any(p.requires_grad for p in taken.parameters())
    taken.layers[0].weight.add_(1)
    assert torch.equal(layer.weight, before)
    torch.testing.assert_close(given(layer.values), layer.weight)


def test_any_module_can_be_a_decoder() -> None:
    torch.manual_seed(0)
    decoder = Branched()
    layer = LatentLinear(5, 4, decoder=decoder, dtype=torch.float64)
    assert layer.get_buffer("decoder_step").dtype == torch.int64
    layer.train()  # the decoder stays in evaluation mode
    expected = copy.deepcopy(decoder).double().eval()(layer.values)
    torch.testing.assert_close(layer.weight, expected)
    restored = LatentLinear(5, 4, decoder=Branched(), dtype=torch.float64)
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored.weight, layer.weight)
    codes = torch.randn(3, 2, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        traced = torch.jit.trace(layer, codes.new_zeros(2, 5))
    torch.testing.assert_close(traced(codes.new_ones(3, 5)), layer(codes.new_ones(3, 5)))
    with pytest.raises(StructuredLayersError, match="module 0 has a decoder of class Branched"):
        SequentialSpec.of(nn.Sequential(layer))


class Sized(nn.Module):
    """A decoder that says something about its codes, and does something with them."""

    def __init__(self, latent_size: object, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.latent_size, self.shape = latent_size, shape

    def forward(self, z: Tensor) -> Tensor:
        return z.sum() + torch.zeros(self.shape)


def broken() -> WeightDecoder:
    decoder = made()
    with torch.no_grad():
        decoder.layers[2].weight[3, 1] = torch.inf
    return decoder


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (made(5, 4), r"5 → 4 needs a decoder of weights \(4, 5\) .*this one makes \(5, 4\)"),
        (nn.Linear(3, 20), "attribute latent_size.*this Linear has 'none'"),
        (Sized(2.5), "this Sized has 2.5"),
        (Sized(2, (4, 5)), r"makes \(4, 5\), of two codes \(4, 5\)"),
        (Sized(2, (-1, 5)), r"takes no codes of shapes \(2,\) and \(2, 2\): .*negative"),
        (broken(), r"layers\.2\.weight is NaN or infinite"),
        ("no/such/folder", "no/such/folder/decoder.json does not exist"),
        (7, "decoder must be a module such as WeightDecoder.*got 7"),
    ],
    ids=str,
)
def test_wrong_decoders(decoder: object, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        LatentLinear(5, 4, decoder=decoder)
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
    with pytest.raises(StructuredLayersError, match=f"^0: .*{message}"):
        convert_(network, "latent", decoder=decoder)
    assert type(network[0]) is nn.Linear


def test_a_decoder_that_the_type_cannot_hold() -> None:
    decoder = made()
    decoder.set_output_(mean=torch.full((4, 5), 1e30), scale=1.0)
    assert LatentLinear(5, 4, decoder=decoder).weight.isfinite().all()
    with pytest.raises(StructuredLayersError, match="weight_mean is NaN or infinite.*float16"):
        LatentLinear(5, 4, decoder=decoder, dtype=torch.float16)


def test_conversion_needs_a_decoder_that_fits() -> None:
    network = mlp(5, [4], 2)
    with pytest.raises(StructuredLayersError, match="LatentLinear needs decoder"):
        convert_(network, "latent")
    with pytest.raises(StructuredLayersError, match=r"^2: a layer 4 → 2 needs a decoder"):
        convert_(network, "latent", decoder=made())
    assert all(type(m) is not LatentLinear for m in network)
    assert convert_(network, "latent", decoder=made(), target_modules=["0"]).weights == 3


@pytest.mark.parametrize("seed", range(4))
def test_fits_find_the_code_of_a_decoded_weight(seed: int) -> None:
    decoder = made(8, 6, size=5, hidden=(12,))
    torch.manual_seed(seed)
    linear = nn.Linear(6, 8).requires_grad_(False)
    linear.weight.copy_(decoder(torch.randn(5)))
    layer = LatentLinear.from_linear(linear, decoder=decoder)
    assert (layer.weight.detach() - linear.weight).norm() < 1e-5 * linear.weight.norm()
    assert torch.equal(LatentLinear.from_linear(linear, decoder=decoder).values, layer.values)


def test_fits_leave_a_gradient_of_zero() -> None:
    torch.manual_seed(1)
    linear = nn.Linear(5, 4, dtype=torch.float64)
    layer = LatentLinear.from_linear(linear, decoder=made())
    (layer.weight - linear.weight.detach()).square().sum().backward()
    assert float(layer.values.grad.norm()) < 1e-6
    zero = LatentLinear(5, 4, decoder=made(), dtype=torch.float64)
    zero.values.data.zero_()
    errors = [(m.weight - linear.weight).norm() for m in (layer, zero)]
    assert errors[0] < errors[1]


def test_fits_into_more_codes_than_entries() -> None:
    linear = nn.Linear(2, 1)
    layer = LatentLinear.from_linear(linear, decoder=made(1, 2, size=5))
    torch.testing.assert_close(layer.weight, linear.weight)


def test_a_mean_weight_is_a_floor() -> None:
    decoder = made()
    decoder.set_output_(mean=torch.ones(4, 5), scale=0.01)
    layer = LatentLinear(5, 4, decoder=decoder)
    assert 0.9 < layer.weight.square().mean().sqrt() < 1.1
    first = layer.weight.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.weight, first)


def test_matching_draws_the_spread_of_each_layer() -> None:
    network = mlp(5, [4], 2)
    with torch.no_grad():
        network[0].weight.mul_(0.3)
    wanted = network[0].weight.detach().std(correction=0)
    convert_(network, "latent", decoder=made(), target_modules=["0"], init="match")
    found = network[0].weight.square().mean().sqrt()
    assert abs(found / wanted - 1) < 0.02


def test_summaries_count_codes_and_store_what_decoders_make() -> None:
    summary = summarize(latent_network())
    assert (summary.weights, summary.dense_weights, summary.biases) == (5, 60, 8)
    assert summary.bits["paper"] == 32 * (5 + 6)
    dense = summarize(to_dense(latent_network())).bits
    for scheme in ("bitmask", "coordinates", "entropy"):
        assert summary.bits[scheme] == dense[scheme] == 32 * 68


def test_populations_have_the_bits_of_single_candidates() -> None:
    network = latent_network()
    torch.manual_seed(2)
    weights = torch.randn(7, parameters_to_vector(network.parameters()).numel())
    observations = np.random.default_rng(0).normal(size=(7, 8))
    together = PopulationPolicy(network, weights).act(observations)
    for i in range(7):
        alone = PopulationPolicy(network, weights[i : i + 1]).act(observations[i : i + 1])
        assert np.array_equal(together[i], alone[0])
    double = copy.deepcopy(network).double()
    assert np.array_equal(PopulationPolicy(double, weights).act(observations), together)


def test_evolution_moves_codes_and_no_decoder() -> None:
    network = latent_network()
    problem = PolicyProblem("Swimmer-v5", network, episode_length=10, seed=0)
    assert problem.solution_length == 5 + 8
    search = ES(problem, popsize=6, stdev_init=0.1, center_learning_rate=0.1)
    start = search.center_solution().clone()
    search.run(3)
    end = search.center_solution()
    assert bool((end != start).all())
    moved = problem.to_policy(end).network
    for name, buffer in network.named_buffers():
        assert torch.equal(moved.get_buffer(name), buffer)
    torch.testing.assert_close(parameters_to_vector(moved.parameters()), end.float())


def test_policy_files_hold_the_decoders(tmp_path: Path) -> None:
    network = latent_network()
    actions = BoxActions(np.array([-1, -3], np.float32), np.array([1, 5], np.float32))
    policy = Policy(network, actions, spec=SequentialSpec.of(network))
    policy.save(tmp_path)
    loaded = load_policy(tmp_path)
    observations = np.random.default_rng(0).normal(size=(20, 8))
    assert np.array_equal(loaded.predict(observations)[0], policy.predict(observations)[0])
    assert [type(m) for m in loaded.network] == [LatentLinear, nn.Tanh, LatentLinear]
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_specs_take_descriptions_and_no_paths(tmp_path: Path) -> None:
    save_decoder(made(), tmp_path)
    steps = SequentialSpec.of(nn.Sequential(LatentLinear(5, 4, decoder=tmp_path))).to_json()
    assert steps["steps"][0]["decoder"]["latent_size"] == 3
    steps["steps"][0]["decoder"] = str(tmp_path)
    with pytest.raises(StructuredLayersError, match="needs its decoder's description"):
        SequentialSpec.from_json(steps)
    with pytest.raises(StructuredLayersError, match="SequentialSpec.of"):
        NetworkSpec(5, 2, layer="latent")
