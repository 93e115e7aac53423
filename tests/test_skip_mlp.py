"""Networks whose edges may skip layers."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    Palette,
    PopulationPolicy,
    SkipMLP,
    SoftMaskedLinear,
    StructuredLayersError,
    ToeplitzLinear,
    UnitActivations,
    mlp,
    topology_size,
    topology_to_vector,
    vector_to_topology,
)
from structured_layers.actions import BoxActions
from structured_layers.layers.activations import unit_activations
from structured_layers.policy import Policy, load_policy
from structured_layers.specs import NetworkSpec

NETWORKS = {
    "skip": lambda: SkipMLP(5, [7, 4], 3),
    "skip-units": lambda: SkipMLP(5, [7, 4], 3, activation=UnitActivations),
    "skip-chain": lambda: SkipMLP(4, [1] * 6, 2, activation=UnitActivations, bias=False),
    "skip-linear": lambda: SkipMLP(5, [], 3),
    "skip-toeplitz": lambda: SkipMLP(5, [7], 3, layer=ToeplitzLinear, activation=nn.ReLU),
    "skip-colors": lambda: SkipMLP(5, [7], 3, layer=partial(ChromaticLinear, palette=Palette(4))),
    "units": lambda: mlp(5, [9], 3, activation=UnitActivations),
    "soft-masked": lambda: mlp(5, [9], 3, layer=SoftMaskedLinear),
    "nested": lambda: nn.Sequential(
        nn.Linear(5, 6), SkipMLP(6, [3], 4), UnitActivations(4), SkipMLP(4, [], 2)
    ),
}
EACH = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def random_candidates(network: nn.Module, n: int) -> tuple[Tensor, Tensor | None]:
    weights = torch.randn(n, parameters_to_vector(network.parameters()).numel())
    columns = []
    for layer in network.modules():
        for name in getattr(layer, "topology_names", ()):
            allowed, size = layer.topology_range(name), layer.get_buffer(name).numel()
            columns.append(torch.randint(allowed[0], allowed[-1] + 1, (n, size)))
    return weights, torch.cat(columns, dim=1) if columns else None


def unit_by_unit(network: SkipMLP, x: Tensor) -> Tensor:
    """The papers' formula for one input, one value after the other."""
    values = list(x)
    for group, layer in enumerate(network.layers):
        weight, bias = layer.weight, layer.bias
        sums = [
            sum(v * w for v, w in zip(values, row, strict=True)) + (0 if bias is None else bias[j])
            for j, row in enumerate(weight)
        ]
        if group == len(network.activations):
            return torch.stack(sums)
        kinds = network.activations[group].kinds
        values += [unit_activations(v, k) for v, k in zip(sums, kinds, strict=True)]
    raise AssertionError


@pytest.mark.parametrize("hidden", [[], [6], [3, 1, 2], [1] * 5], ids=str)
def test_equals_the_formula_unit_by_unit(hidden: list[int]) -> None:
    network = SkipMLP(4, hidden, 2, activation=UnitActivations)
    _, topology = random_candidates(network, 1)
    vector_to_topology(topology[0], network)
    x = torch.randn(3, 4)
    expected = torch.stack([unit_by_unit(network, row) for row in x])
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)


def test_the_topology_holds_every_allowed_edge_and_every_unit() -> None:
    network = SkipMLP(4, [3, 2], 2, activation=UnitActivations)
    edges = 4 * 3 + 7 * 2 + 9 * 2
    assert topology_size(network) == edges + 5
    assert topology_size(SkipMLP(4, [3, 2], 2)) == edges


def test_an_edge_from_input_to_output_alone() -> None:
    network = SkipMLP(2, [3], 1, bias=False, output_bias=False)
    mask = torch.zeros(topology_size(network), dtype=torch.int64)
    mask[6] = 1  # after the 2 × 3 edges into the hidden units
    vector_to_topology(mask, network)
    x = torch.randn(5, 2)
    torch.testing.assert_close(network(x), x[:, :1] * network.layers[1].values[0, 0])


def test_hidden_units_see_earlier_groups_and_no_later_ones() -> None:
    network = SkipMLP(2, [3, 4], 1)
    sizes = [(layer.in_features, layer.out_features) for layer in network.layers]
    assert sizes == [(2, 3), (5, 4), (9, 1)]


@pytest.mark.parametrize(("bias", "output_bias"), [(True, False), (False, True)])
def test_biases_are_chosen_apart(bias: bool, output_bias: bool) -> None:
    network = SkipMLP(4, [3, 3], 2, bias=bias, output_bias=output_bias)
    assert [layer.bias is not None for layer in network.layers] == [bias, bias, output_bias]


@EACH
def test_populations_equal_the_modules(make) -> None:
    network = make()
    weights, topology = random_candidates(network, 20)
    population = PopulationPolicy(network, weights, topology)
    observations = torch.randn(20, population.in_features)
    actions = population.act(observations.numpy())
    assert actions.shape == (20, population.out_features)
    module = copy.deepcopy(network)
    for row in range(20):
        vector_to_parameters(weights[row], module.parameters())
        if topology is not None:
            vector_to_topology(topology[row], module)
        expected = module(observations[row]).detach().numpy()
        np.testing.assert_allclose(actions[row], expected, rtol=1e-3, atol=1e-3)


@EACH
def test_actions_are_the_same_bits_in_any_batch(make) -> None:
    network = make()
    weights, topology = random_candidates(network, 60)
    full = PopulationPolicy(network, weights, topology)
    observations = np.random.default_rng(0).normal(size=(60, full.in_features))
    actions = full.act(observations)
    for n in (1, 2, 7, 33):
        rows = np.random.default_rng(n).permutation(60)[:n]
        own = None if topology is None else topology[rows]
        alone = PopulationPolicy(network, weights[rows], own)
        assert np.array_equal(alone.act(observations[rows]), actions[rows])
        assert np.array_equal(full.take(rows).act(observations[rows]), actions[rows])
        pool = full.take([0] * n)
        pool.act(observations[rows])
        for position, row in enumerate(rows):
            pool.put(position, full, row)
        assert np.array_equal(pool.act(observations[rows]), actions[rows])


@EACH
def test_one_policy_decides_for_many_rows(make) -> None:
    network = make()
    weights, topology = random_candidates(network, 1)
    policy = PopulationPolicy(network, weights, topology)
    observations = np.random.default_rng(0).normal(size=(6, policy.in_features))
    rows = [policy.act(observation[None])[0] for observation in observations]
    np.testing.assert_allclose(policy.act(observations), np.stack(rows), rtol=1e-5, atol=1e-5)


@EACH
def test_no_policy_returns_infinities(make) -> None:
    network = make()
    weights, topology = random_candidates(network, 200)
    observations = np.full((200, PopulationPolicy(network, weights).in_features), 1e6)
    assert np.isfinite(PopulationPolicy(network, 10 * weights, topology).act(observations)).all()


@EACH
def test_copies_states_vmap_compilation_and_export(make) -> None:
    networks = [make() for _ in range(2)]
    first, second = networks
    x = torch.randn(2, 3, 5 if not isinstance(first, SkipMLP) else first.in_features)
    assert torch.equal(copy.deepcopy(first)(x), first(x))
    assert second.load_state_dict(copy.deepcopy(second).state_dict()) == ([], [])
    parameters, buffers = stack_module_state(networks)
    expected = torch.stack([network(row) for network, row in zip(networks, x, strict=True)])

    def call(parameters, buffers, row: Tensor) -> Tensor:
        return functional_call(first, (parameters, buffers), row)

    torch.testing.assert_close(vmap(call)(parameters, buffers, x), expected)
    torch.compiler.reset()
    compiled = torch.compile(first, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x[0]), first(x[0]))
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(first, (x[0],), dynamic_shapes=dynamic)
    x = torch.randn(5, x.shape[-1])
    torch.testing.assert_close(program.module()(x), first(x))


def test_unsupported_modules_within_are_named() -> None:
    network = nn.Sequential(SkipMLP(3, [2], 1, activation=nn.GELU))
    weights = torch.zeros(1, parameters_to_vector(network.parameters()).numel())
    with pytest.raises(StructuredLayersError, match=r"Sequential\.0\.activations\.0 is a \S*GELU"):
        PopulationPolicy(network, weights)


@pytest.mark.parametrize("layer", ["masked", "soft_masked", "dense", "chromatic"])
def test_specs_describe_skipping_networks_and_units(layer: str, tmp_path) -> None:
    num_colors = 4 if layer == "chromatic" else None
    spec = NetworkSpec(5, 3, (7,), layer, num_colors, activation="units", skip=True)
    assert NetworkSpec.from_json(spec.to_json()) == spec
    assert spec.num_edges == 5 * 7 + 12 * 3
    network = spec.build()
    assert isinstance(network, SkipMLP)
    weights, topology = random_candidates(network, 1)
    vector_to_parameters(weights[0], network.parameters())
    vector_to_topology(topology[0], network)
    bounds = np.ones(3, np.float32)
    policy = Policy(network, BoxActions(-bounds, bounds), spec=spec)
    policy.save(tmp_path)
    observations = np.random.default_rng(0).normal(size=(4, 5))
    loaded = load_policy(tmp_path)
    assert np.array_equal(loaded.predict(observations)[0], policy.predict(observations)[0])
    assert torch.equal(topology_to_vector(loaded.network), topology[0])


def test_specs_of_older_files_have_no_skipping_edges() -> None:
    data = NetworkSpec(5, 3, layer="masked").to_json()
    del data["skip"]
    network = NetworkSpec.from_json(data).build()
    assert [type(module) for module in network] == [MaskedLinear, nn.Tanh, MaskedLinear]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [3], 2), "in_features must be an integer of at least 1, got 0"),
        ((4, [3, 0], 2), "each hidden size must be an integer of at least 1, got 0"),
        ((4, [3], -1), "out_features must be an integer of at least 1, got -1"),
        ((4, 3, 2), "hidden must be a sequence of layer sizes"),
    ],
)
def test_bad_sizes(arguments: tuple, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        SkipMLP(*arguments)
