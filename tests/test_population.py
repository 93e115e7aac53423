"""A population equals its modules run one by one, with the same bits in any batch."""

import copy
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import CASES, LayerCase
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    MaskedLinear,
    Palette,
    PopulationPolicy,
    StructuredLayersError,
    ToeplitzLinear,
    mlp,
    topology_size,
    topology_to_vector,
    vector_to_topology,
)

LAYERS = {
    "dense": lambda: nn.Linear,
    "toeplitz": lambda: ToeplitzLinear,
    "circulant": lambda: CirculantLinear,
    "chromatic": lambda: partial(ChromaticLinear, palette=Palette(5)),
    "masked": lambda: MaskedLinear,
}


def random_weights(network: nn.Module, n: int) -> Tensor:
    return torch.randn(n, sum(p.numel() for p in network.parameters()))


def random_topologies(network: nn.Module, n: int) -> Tensor | None:
    """Colours from -1 on and masks, different for every candidate."""
    columns = []
    for layer in network.modules():
        for name in getattr(layer, "topology_names", ()):
            allowed, size = layer.topology_range(name), layer.get_buffer(name).numel()
            columns.append(torch.randint(allowed[0], allowed[-1] + 1, (n, size)))
    return torch.cat(columns, dim=1) if columns else None


def one_by_one(
    network: nn.Module, weights: Tensor, topology: Tensor | None, observations: np.ndarray
) -> np.ndarray:
    """The outputs of ``n`` modules, each with its own weights and structure."""
    module, outputs = copy.deepcopy(network), []
    for row, observation in enumerate(observations):
        vector_to_parameters(weights[row], module.parameters())
        if topology is not None:
            vector_to_topology(topology[row], module)
        with torch.no_grad():
            outputs.append(module(torch.from_numpy(observation)[None].float())[0].numpy())
    return np.stack(outputs)


def assert_equals_modules(network: nn.Module, *, own_topology: bool = False) -> None:
    weights = random_weights(network, 20)
    topology = None if own_topology else random_topologies(network, 20)
    population = PopulationPolicy(network, weights, topology)
    observations = np.random.default_rng(0).normal(size=(20, population.in_features))
    actions = population.act(observations)
    expected = one_by_one(network, weights, topology, observations)
    assert actions.dtype == np.float32
    assert len(population) == 20
    np.testing.assert_allclose(actions, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("own_topology", [False, True], ids=["own-structures", "one-structure"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_layer_equals_its_module(case: LayerCase, bias: bool, own_topology: bool) -> None:
    layer = case.make(bias=bias)
    assert_equals_modules(layer, own_topology=own_topology)
    network = nn.Sequential(nn.Linear(3, layer.in_features), nn.Tanh(), layer)
    assert_equals_modules(network, own_topology=own_topology)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Identity])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_activation_equals_its_module(kind: str, activation: type[nn.Module]) -> None:
    assert_equals_modules(mlp(7, [9, 8], 3, layer=LAYERS[kind](), activation=activation))


def test_nested_sequentials_of_mixed_layers() -> None:
    palette = Palette(4)
    inner = nn.Sequential(ToeplitzLinear(6, 7), nn.Sequential(nn.ReLU(), nn.Identity()))
    network = nn.Sequential(
        ChromaticLinear(5, 6, palette=palette),
        nn.Sequential(nn.Tanh(), inner, MaskedLinear(7, 4)),
        nn.SiLU(),
        ChromaticLinear(4, 2, palette=palette),
    )
    assert_equals_modules(network)
    assert_equals_modules(network, own_topology=True)


def test_a_module_that_is_used_twice_runs_twice() -> None:
    activation, layer = nn.Tanh(), ToeplitzLinear(4, 4)
    network = nn.Sequential(nn.Linear(3, 4), activation, layer, activation, layer, activation)
    assert_equals_modules(network)


def test_layers_of_one_palette_share_each_candidates_values() -> None:
    network = mlp(3, [4], 2, layer=LAYERS["chromatic"]())
    assert random_weights(network, 1).shape == (1, 5 + 4 + 2)
    assert_equals_modules(network)


def test_the_network_and_the_weights_stay_as_they_were() -> None:
    network = mlp(3, [], 1, layer=LAYERS["masked"]())
    before, structure = parameters_to_vector(network.parameters()), topology_to_vector(network)
    weights, topology = random_weights(network, 1), torch.zeros(1, 3, dtype=torch.int64)
    copies = weights.clone(), topology.clone()
    population = PopulationPolicy(network, weights, topology)
    population.act(np.ones((1, 3)))
    population.put(0, PopulationPolicy(network, random_weights(network, 1)), 0)
    assert torch.equal(parameters_to_vector(network.parameters()), before)
    assert torch.equal(topology_to_vector(network), structure)
    assert torch.equal(weights, copies[0])
    assert torch.equal(topology, copies[1])


def test_weights_that_change_afterwards_do_not_reach_the_population() -> None:
    network = mlp(3, [], 1)
    weights = random_weights(network, 1)
    population = PopulationPolicy(network, weights)
    before = population.act(np.ones((1, 3)))
    weights.zero_()
    assert np.array_equal(population.act(np.ones((1, 3))), before)


def test_weights_of_another_dtype_that_need_gradients() -> None:
    network = mlp(3, [4], 2)
    weights = random_weights(network, 5)
    expected = PopulationPolicy(network, weights).act(np.ones((5, 3)))
    double = weights.double().requires_grad_()
    assert np.array_equal(PopulationPolicy(network, double).act(np.ones((5, 3))), expected)


class Batches:
    """Two hundred candidates, their observations, and what they do all at once."""

    def __init__(self, kind: str, *sizes: int) -> None:
        self.network = mlp(sizes[0], sizes[1:-1], sizes[-1], layer=LAYERS[kind]())
        self.weights = random_weights(self.network, 200)
        self.topology = random_topologies(self.network, 200)
        self.observations = np.random.default_rng(0).normal(size=(200, sizes[0]))
        self.full = self.population(np.arange(200))
        self.actions = self.full.act(self.observations)

    def population(self, rows: np.ndarray) -> PopulationPolicy:
        topology = None if self.topology is None else self.topology[rows]
        return PopulationPolicy(self.network, self.weights[rows], topology)


@pytest.mark.parametrize("sizes", [(17, 41, 6), (11, 5, 1), (8, 2), (1, 3)], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_actions_are_the_same_bits_in_any_batch(kind: str, sizes: tuple[int, ...]) -> None:
    batches = Batches(kind, *sizes)
    for n in (1, 2, 7, 64, 200):
        rows = np.random.default_rng(n).permutation(200)[:n]
        observations, actions = batches.observations[rows], batches.actions[rows]
        assert np.array_equal(batches.population(rows).act(observations), actions)
        assert np.array_equal(batches.full.take(rows).act(observations), actions)
        pool = batches.full.take([0] * n)
        for position, row in enumerate(rows):
            pool.put(position, batches.full, row)
        assert np.array_equal(pool.act(observations), actions)


@given(rows=st.lists(st.integers(0, 199), min_size=1, max_size=40))
@settings(max_examples=30)
def test_actions_are_the_same_bits_in_any_selection(rows: list[int]) -> None:
    batches = Batches("chromatic", 17, 41, 6)
    observations, actions = batches.observations[rows], batches.actions[rows]
    assert np.array_equal(batches.population(np.array(rows)).act(observations), actions)
    taken = batches.full.take(rows)
    assert len(taken) == len(rows)
    assert np.array_equal(taken.act(observations), actions)


def test_actions_are_the_same_bits_for_any_memory_layout_of_the_observations() -> None:
    batches = Batches("dense", 17, 41, 6)
    single = batches.observations.astype(np.float32)
    mirrored = single[:, ::-1].copy()[:, ::-1]
    for observations in (single, np.asfortranarray(batches.observations), mirrored):
        assert np.array_equal(batches.full.act(observations), batches.actions)


def test_taking_copies_and_putting_changes_one_candidate() -> None:
    batches = Batches("masked", 11, 5, 1)
    pool = batches.full.take(range(4))
    pool.put(2, batches.full, 9)
    rows = [0, 1, 9, 3]
    assert np.array_equal(pool.act(batches.observations[rows]), batches.actions[rows])
    assert np.array_equal(batches.full.act(batches.observations), batches.actions)
    assert (pool.in_features, pool.out_features) == (11, 1)


class Doubled(nn.Linear):
    """A linear layer that is not quite one."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Tanh(), nn.GELU())),
            r"Sequential\.1\.1 is a torch\.nn\.modules\.activation\.GELU, which",
        ),
        (
            nn.Sequential(OrderedDict(body=nn.Sequential(OrderedDict(drop=nn.Dropout())))),
            r"Sequential\.body\.drop is a torch\.nn\.modules\.dropout\.Dropout, which .* supported",
        ),
        (nn.Sequential(Doubled(2, 2)), r"Sequential\.0 is a \S*test_population\.Doubled, which"),
        (nn.Bilinear(2, 2, 2), r"Bilinear is a torch\.nn\.modules\.linear\.Bilinear"),
        (nn.Sequential(nn.Tanh()), "Sequential has no linear layer to run"),
    ],
)
def test_unsupported_modules_are_named(module: nn.Module, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        PopulationPolicy(module, random_weights(module, 1))


@pytest.mark.parametrize(
    ("weights", "topology", "message"),
    [
        ((3, 36), None, r"weights must have shape \(P, 35\).*35 trained values, got \(3, 36\)"),
        ((35,), None, r"weights must have shape \(P, 35\).* got \(35,\)"),
        (
            (3, 35),
            (2, 20),
            r"topology must have shape \(3, 20\).*topology_to_vector, got \(2, 20\)",
        ),
        ((3, 35), (3, 19), r"got \(3, 19\)"),
        ((3, 35), (20,), r"got \(20,\)"),
    ],
)
def test_wrong_shapes(weights: tuple, topology: tuple | None, message: str) -> None:
    network = nn.Sequential(MaskedLinear(4, 5), nn.Tanh(), nn.Linear(5, 2, bias=False))
    assert (random_weights(network, 1).shape[1], topology_size(network)) == (35, 20)
    structure = None if topology is None else torch.zeros(topology, dtype=torch.int64)
    with pytest.raises(StructuredLayersError, match=message):
        PopulationPolicy(network, torch.zeros(weights), structure)
