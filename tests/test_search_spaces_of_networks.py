"""The spaces of networks' own structures, whose buffers lie in the order of the modules."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    Palette,
    PopulationPolicy,
    SkipMLP,
    StructuredLayersError,
    ToeplitzLinear,
    UnitActivations,
    load_policy,
    mlp,
    topology_size,
    topology_to_vector,
    vector_to_topology,
)
from structured_layers.actions import BoxActions
from structured_layers.algorithms import (
    ColoredEdges,
    Coloring,
    EdgeMask,
    EdgeSubset,
    LayerwiseEdgeSubset,
    ProductSpace,
    SearchSpace,
    UnitActivationChoice,
)
from structured_layers.metrics import summarize
from structured_layers.plots import plot_weights
from structured_layers.policy import Policy
from structured_layers.specs import NetworkSpec


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chromatic(num_colors: int = 5, make: Callable[..., nn.Module] = mlp) -> nn.Module:
    return make(4, [6], 3, layer=partial(ChromaticLinear, palette=Palette(num_colors)))


def units(make: Callable[..., nn.Module] = mlp, layer: Callable[..., nn.Module] = MaskedLinear):
    return make(4, [6, 2], 3, layer=layer, activation=UnitActivations)


# What `SearchSpace.of` is asked for, and a description of a network that it serves.
SPECS = {
    "colors": ({}, NetworkSpec(4, 3, (6,), "chromatic", 5)),
    "edges": ({"num_kept": 9}, NetworkSpec(4, 3, (6,), "masked")),
    "layerwise": ({"num_kept": [7, 2]}, NetworkSpec(4, 3, (6,), "masked")),
    "mask": ({"num_kept": "any"}, NetworkSpec(4, 3, (6,), "masked")),
    "skip": ({"num_kept": 9}, NetworkSpec(4, 3, (6,), "masked", skip=True)),
    "skip-layerwise": ({"num_kept": (7, 2)}, NetworkSpec(4, 3, (6,), "masked", skip=True)),
    "colored-edges": ({"num_kept": 9}, NetworkSpec(4, 3, (6,), "chromatic", 5)),
    "colored-mask": ({"num_kept": "any"}, NetworkSpec(4, 3, (6,), "chromatic", 5, skip=True)),
    "colored-layerwise": ({"num_kept": [7, 2]}, NetworkSpec(4, 3, (6,), "chromatic", 5)),
    "units": ({}, NetworkSpec(4, 3, (6, 2), "toeplitz", activation="units")),
    "few-units": ({"activations": ["sin"] + ["abs"]}, NetworkSpec(4, 3, (6,), activation="units")),
    "colors-units": ({}, NetworkSpec(4, 3, (6, 2), "chromatic", 5, "units")),
    "edges-units": ({"num_kept": 12}, NetworkSpec(4, 3, (6, 2), "masked", None, "units")),
    "skip-layerwise-units": (
        {"num_kept": [7, 2, 5], "activations": ["relu", "cos"]},
        NetworkSpec(4, 3, (6, 2), "masked", None, "units", skip=True),
    ),
    "skip-colored-mask-units": (
        {"num_kept": "any"},
        NetworkSpec(4, 3, (6, 2), "chromatic", 5, "units", skip=True),
    ),
}
each_spec = pytest.mark.parametrize(("asked", "spec"), SPECS.values(), ids=SPECS)


@each_spec
@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_networks_take_what_their_space_decodes(asked: dict, spec: NetworkSpec, seed: int) -> None:
    network = spec.build()
    space = SearchSpace.of(network, **asked)
    assert space.num_edges == topology_size(network)
    parents = space.sample(4, seeded(seed))
    for decisions in (parents, space.mutate(parents, seeded(seed))):
        for vector in space.decode(decisions):
            assert vector.dtype == torch.int64
            vector_to_topology(vector, network)
            assert torch.equal(topology_to_vector(network), vector)


@each_spec
def test_populations_equal_networks_one_by_one(asked: dict, spec: NetworkSpec) -> None:
    network = spec.build()
    space = SearchSpace.of(network, **asked)
    topologies = space.decode(space.sample(30, seeded()))
    d = parameters_to_vector(network.parameters()).numel()
    weights = 0.3 * torch.randn(30, d, generator=seeded())
    observations = torch.randn(30, 4, generator=seeded(1))
    actions = PopulationPolicy(network, weights, topologies).act(observations.numpy())
    for row in range(30):
        vector_to_parameters(weights[row], network.parameters())
        vector_to_topology(topologies[row], network)
        expected = network(observations[row]).detach().numpy()
        # A reciprocal near zero magnifies roundings as it magnifies a small change of the input.
        changed = network(observations[row] * (1 + 1e-6)).detach().numpy() - expected
        bound = 1e-5 * (1 + np.abs(expected)) + np.abs(changed)
        assert (np.abs(actions[row] - expected) <= bound).all()


@each_spec
def test_policies_of_sampled_structures_decide_the_same_once_they_are_loaded(
    asked: dict, spec: NetworkSpec, tmp_path
) -> None:
    network = spec.build()
    space = SearchSpace.of(network, **asked)
    vector_to_topology(space.decode(space.sample(1, seeded()))[0], network)
    bounds = np.ones(3, np.float32)
    policy = Policy(network, BoxActions(-bounds, bounds), spec=spec)
    policy.save(tmp_path)
    loaded = load_policy(tmp_path)
    observations = np.random.default_rng(0).normal(size=(50, 4))
    assert np.array_equal(loaded.predict(observations)[0], policy.predict(observations)[0])
    assert torch.equal(topology_to_vector(loaded.network), topology_to_vector(network))
    assert summarize(loaded.network) == summarize(network)
    assert plot_weights(loaded.network, tmp_path / "weights.png").stat().st_size > 1000


@pytest.mark.parametrize("colored", [False, True])
def test_a_policy_without_any_edge_is_saved_and_loaded(colored: bool, tmp_path) -> None:
    layer = ("chromatic", 5) if colored else ("masked", None)
    spec = NetworkSpec(4, 3, (6,), *layer)
    network = spec.build()
    nothing = torch.full((topology_size(network),), -1 if colored else 0)
    vector_to_topology(nothing, network)
    bounds = np.ones(3, np.float32)
    Policy(network, BoxActions(-bounds, bounds), spec=spec).save(tmp_path)
    loaded = load_policy(tmp_path)
    assert torch.equal(topology_to_vector(loaded.network), nothing)
    assert not loaded.predict(np.ones(4))[0].any()
    assert summarize(loaded.network).weights == (5 if colored else 0)


def test_the_space_of_a_chromatic_network() -> None:
    network = chromatic()
    space = SearchSpace.of(network)
    assert isinstance(space, Coloring)
    assert (space.num_decisions, space.num_edges, space.num_colors) == (42, 42, 5)
    vector = space.decode(space.sample(1, seeded()))[0]
    vector_to_topology(vector, network)
    assert torch.equal(network[0].colors.flatten(), vector[:24])


def test_the_space_of_a_masked_network() -> None:
    network = mlp(4, [6], 3, layer=MaskedLinear)
    space = SearchSpace.of(network, num_kept=7)
    assert isinstance(space, EdgeSubset)
    assert (space.num_decisions, space.num_edges) == (7, topology_size(network))
    vector_to_topology(space.decode(space.sample(1, seeded()))[0], network)
    assert network[0].num_weights + network[2].num_weights == 7


def test_layers_without_structure_do_not_matter() -> None:
    network = nn.Sequential(chromatic(), nn.Tanh(), ToeplitzLinear(3, 3), nn.Linear(3, 1))
    assert SearchSpace.of(network).num_decisions == 42
    learning = ChromaticLinear(3, 3, palette=chromatic()[0].palette, learn_colors=True)
    masked = nn.Sequential(MaskedLinear(4, 3), MaskedLinear(3, 3, learn_mask=True, num_edges=2))
    assert SearchSpace.of(masked, num_kept="any").num_edges == 12
    with pytest.raises(StructuredLayersError, match="no structure"):
        SearchSpace.of(nn.Sequential(learning))


def test_so_many_edges_of_each_layer() -> None:
    network = SkipMLP(4, [6], 3)
    space = SearchSpace.of(network, num_kept=[7, 2])
    assert isinstance(space, LayerwiseEdgeSubset)
    assert space.num_kept == 9
    for vector in space.decode(space.sample(20, seeded())):
        vector_to_topology(vector, network)
        assert [layer.num_weights for layer in network.layers] == [7, 2]


def test_any_edges() -> None:
    space = SearchSpace.of(mlp(4, [6], 3, layer=MaskedLinear), num_kept="any")
    assert isinstance(space, EdgeMask)
    assert space.num_kept is None
    assert space.num_edges == 42


def test_coloured_edges_show_minus_one_where_the_mask_is_zero() -> None:
    network = chromatic()
    space = SearchSpace.of(network, num_kept=10)
    assert isinstance(space, ColoredEdges)
    decisions = space.sample(20, seeded())
    topologies, kept = space.decode(decisions), space.edges.decode(decisions[:, 42:]).bool()
    assert torch.equal(topologies >= 0, kept)
    assert torch.equal(topologies[kept], decisions[:, :42][kept])
    vector_to_topology(topologies[0], network)
    assert int((network[0].weight != 0).sum() + (network[2].weight != 0).sum()) == 10


@pytest.mark.parametrize("make", [mlp, SkipMLP])
def test_activations_lie_between_the_edges_of_the_layers(make: Callable[..., nn.Module]) -> None:
    network = units(make)
    space = SearchSpace.of(network, num_kept=12, activations=["relu", "step"])
    assert isinstance(space, ProductSpace)
    assert [type(factor) for factor in space.factors] == [EdgeSubset, UnitActivationChoice]
    edges = sum(m.mask.numel() for m in network.modules() if isinstance(m, MaskedLinear))
    decisions = torch.cat([torch.arange(12), torch.tensor([0, 1, 1, 0, 0, 1, 1, 0])])
    vector_to_topology(space.decode(decisions[None])[0], network)
    masks = [m.mask.flatten() for m in network.modules() if isinstance(m, MaskedLinear)]
    kinds = [m.kinds for m in network.modules() if isinstance(m, UnitActivations)]
    assert torch.cat(masks).nonzero().flatten().tolist() == list(range(12))
    assert torch.cat(masks).numel() == edges
    assert torch.cat(kinds).tolist() == [1, 10, 10, 1, 1, 10, 10, 1]  # positions among all kinds


def test_units_alone() -> None:
    space = SearchSpace.of(units(layer=nn.Linear))
    assert isinstance(space, UnitActivationChoice)
    assert (space.num_decisions, len(space.kinds)) == (8, 11)


def test_products_by_hand() -> None:
    space = Coloring(3, 2) * UnitActivationChoice(2, ["abs", "cos"]) * EdgeMask(3)
    assert [type(factor) for factor in space.factors] == [ColoredEdges, UnitActivationChoice]
    decisions = torch.tensor([[0, 1, 1, 1, 0, 1, 1, 0]])  # colours, mask, activations
    assert space.decode(decisions).tolist() == [[0, -1, 1, 7, 6]]
    interleaved = ProductSpace(
        [EdgeMask(3), UnitActivationChoice(2, ["abs", "cos"])], positions=[[0, 1, 4], [2, 3]]
    )
    assert interleaved.decode(torch.tensor([[1, 0, 1, 0, 1]])).tolist() == [[1, 0, 6, 7, 1]]
    longer = interleaved * UnitActivationChoice(1)
    assert longer.decode(torch.tensor([[1, 0, 1, 0, 1, 2]])).tolist() == [[1, 0, 6, 7, 1, 2]]
    units_first = SearchSpace.of(units(layer=partial(ChromaticLinear, palette=Palette(3))))
    masked = EdgeMask(units_first.factors[0].num_edges) * units_first
    assert masked.num_edges == units_first.num_edges
    shown = masked.decode(masked.sample(1, seeded()))
    assert torch.equal(masked._positions[1], units_first._positions[1])
    assert (shown[:, masked._positions[1]] >= 0).all()


@pytest.mark.parametrize(
    ("network", "asked", "message"),
    [
        (mlp(4, [6], 3), {}, "all ChromaticLinear or all MaskedLinear, or .* no structure"),
        (
            nn.Sequential(chromatic(), MaskedLinear(3, 1)),
            {},
            r"got Sequential with \['colors', 'mask'\]",
        ),
        (MaskedLinear(4, 3), {}, "needs num_kept, .* or 'any' for a boolean mask, got None"),
        (MaskedLinear(4, 3), {"num_kept": "some"}, "got 'some'"),
        (MaskedLinear(4, 3), {"num_kept": 13}, "must be an integer from 1 to 12, .* got 13"),
        (chromatic(), {"num_kept": 43}, "num_kept must be an integer from 1 to 42, .* got 43"),
        (chromatic(), {"num_kept": [1, 2, 3]}, r"each of 2 layers keeps, got \[1, 2, 3\]"),
        (chromatic(), {"num_kept": [1, 19]}, "layer 2: num_kept must be an integer from 1 to 18"),
        (chromatic(), {"activations": ["tanh"]}, "is for networks with UnitActivations"),
        (units(), {"num_kept": 3, "activations": ["tan"]}, "among tanh, relu, .*, got 'tan'"),
        (
            mlp(4, [6], 3, layer=partial(ChromaticLinear, palette=5)),
            {},
            "got 2 layers with 2 palettes; build them with the same Palette",
        ),
        (chromatic(1), {}, "nothing to search, .* one structure only; take more than one colour"),
        (MaskedLinear(4, 3), {"num_kept": 12}, "nothing to search, .* fewer kept edges than edges"),
        (UnitActivations(4), {"activations": ["sin"]}, "nothing to search, .* one activation"),
    ],
)  # fmt: skip
def test_networks_without_a_space(network: nn.Module, asked: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        SearchSpace.of(network, **asked)


def test_one_colour_is_enough_where_edges_are_searched() -> None:
    assert SearchSpace.of(chromatic(1), num_kept=5).log10_size > 0


@pytest.mark.parametrize(
    ("factors", "positions", "message"),
    [
        ([], None, "at least one factor"),
        ([Coloring(3, 2), EdgeMask(4)], None, "over 4 edges and a colouring of 3"),
        ([EdgeMask(2)], [[0, 0]], r"0..1 and each one once"),
        ([EdgeMask(2)], [[0, 2]], r"0..1 and each one once"),
        ([EdgeMask(2)], [[0]], r"the factors \[2\] places, .* got \[1\]"),
        ([EdgeMask(2)], [[0, 1], [2]], r"got \[2, 1\]"),
    ],
)
def test_products_that_do_not_fit(factors: list, positions: list | None, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        ProductSpace(factors, positions=positions)
