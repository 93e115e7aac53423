"""The structures that a controller chooses from."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    Palette,
    StructuredLayersError,
    ToeplitzLinear,
    mlp,
    topology_size,
    vector_to_topology,
)
from structured_layers.algorithms import Coloring, EdgeSubset, SearchSpace


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


SPACES = {
    "coloring": Coloring(num_edges=16, num_colors=8),
    "one-color": Coloring(num_edges=4, num_colors=1),
    "two-colors": Coloring(num_edges=1, num_colors=2),
    "edges": EdgeSubset(num_edges=20, num_kept=6),
    "one-edge": EdgeSubset(num_edges=5, num_kept=1),
    "all-edges": EdgeSubset(num_edges=5, num_kept=5),
}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@each_space
@pytest.mark.parametrize("n", [0, 1, 300])
def test_samples_and_children_are_members(space: SearchSpace, n: int) -> None:
    parents = space.sample(n, seeded())
    children = space.mutate(parents, seeded())
    for decisions in (parents, children):
        assert decisions.shape == (n, space.num_decisions)
        assert decisions.dtype == torch.int64
        space.check(decisions)
        assert space.decode(decisions).shape == (n, space.num_edges)
        assert space.decode(decisions).dtype == torch.int64


@each_space
def test_the_generator_determines_everything(space: SearchSpace) -> None:
    parents = space.sample(50, seeded())
    assert torch.equal(space.sample(50, seeded()), parents)
    assert torch.equal(space.mutate(parents, seeded(1)), space.mutate(parents, seeded(1)))
    state = torch.get_rng_state()
    space.mutate(space.sample(50, seeded()), seeded())
    assert torch.equal(torch.get_rng_state(), state)
    if space.log10_size > 1:
        assert not torch.equal(space.sample(50, seeded(1)), parents)


@each_space
def test_mutating_leaves_the_parents_alone(space: SearchSpace) -> None:
    parents = space.sample(20, seeded())
    before = parents.clone()
    space.mutate(parents, seeded()).fill_(0)
    assert torch.equal(parents, before)


@given(edges=st.integers(1, 30), colors=st.integers(2, 9), seed=st.integers(0, 2**31))
def test_a_child_of_a_coloring_has_one_edge_of_another_color(
    edges: int, colors: int, seed: int
) -> None:
    space = Coloring(edges, colors)
    parents = space.sample(8, seeded(seed))
    children = space.mutate(parents, seeded(seed + 1))
    space.check(children)
    assert ((parents != children).sum(dim=1) == 1).all()


@given(kept=st.integers(1, 12), spare=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_a_child_of_an_edge_set_exchanges_one_edge(kept: int, spare: int, seed: int) -> None:
    space = EdgeSubset(kept + spare, kept)
    parents = space.sample(8, seeded(seed))
    children = space.mutate(parents, seeded(seed + 1))
    space.check(children)
    for parent, child in zip(parents.tolist(), children.tolist(), strict=True):
        assert len(set(parent) & set(child)) == kept - 1
        assert child == sorted(child)


@pytest.mark.parametrize("name", ["one-color", "all-edges"])
def test_a_space_of_one_structure_has_no_other_children(name: str) -> None:
    space = SPACES[name]
    parents = space.sample(5, seeded())
    assert torch.equal(space.mutate(parents, seeded()), parents)
    assert space.log10_size == pytest.approx(0, abs=1e-12)


@given(kept=st.integers(1, 10), spare=st.integers(0, 10), seed=st.integers(0, 2**31))
def test_masks_keep_exactly_the_edges_of_the_set(kept: int, spare: int, seed: int) -> None:
    space = EdgeSubset(kept + spare, kept)
    decisions = space.sample(6, seeded(seed))
    masks = space.decode(decisions)
    assert set(masks.flatten().tolist()) <= {0, 1}
    assert (masks.sum(dim=1) == kept).all()
    assert masks.gather(1, decisions).all()


def assert_uniform(draws: Tensor, num_outcomes: int) -> None:
    """Every count is within five of its standard errors."""
    counts, p = torch.bincount(draws, minlength=num_outcomes), 1 / num_outcomes
    deviation = math.sqrt(len(draws) * p * (1 - p))
    assert counts.numel() == num_outcomes
    assert (counts - len(draws) * p).abs().max() < 5 * deviation


def code(decisions: Tensor, base: int) -> Tensor:
    return (decisions * base ** torch.arange(decisions.shape[1])).sum(dim=1)


def test_samples_are_uniform() -> None:
    assert_uniform(code(Coloring(4, 3).sample(8100, seeded()), 3), 81)
    subsets = code(EdgeSubset(6, 3).sample(8000, seeded()), 6)
    assert_uniform(subsets.unique(return_inverse=True)[1], 20)


def test_children_are_uniform_among_the_neighbours() -> None:
    parent = torch.tensor([0, 1, 2, 0]).expand(8000, -1)
    neighbours = code(Coloring(4, 3).mutate(parent, seeded()), 3)
    assert_uniform(neighbours.unique(return_inverse=True)[1], 8)
    parent = torch.tensor([0, 2, 5]).expand(9000, -1)
    neighbours = code(EdgeSubset(6, 3).mutate(parent, seeded()), 6)
    assert_uniform(neighbours.unique(return_inverse=True)[1], 9)


@pytest.mark.parametrize(
    ("space", "log10_size"),
    [
        (Coloring(16, 8), 14.4),  # ES-ENAS on Swimmer's linear policy
        (EdgeSubset(320, 64), 68.3),  # ES-ENAS on Swimmer with 32 hidden units
        (EdgeSubset(6, 3), math.log10(20)),
        (Coloring(4, 3), math.log10(81)),
    ],
)
def test_sizes(space: SearchSpace, log10_size: float) -> None:
    assert space.log10_size == pytest.approx(log10_size, abs=0.05)


def chromatic(num_colors: int = 5) -> nn.Sequential:
    return mlp(4, [6], 3, layer=partial(ChromaticLinear, palette=Palette(num_colors)))


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


@pytest.mark.parametrize(
    ("network", "num_kept", "message"),
    [
        (mlp(4, [6], 3), None, "all ChromaticLinear or all MaskedLinear, got .* no structure"),
        (
            nn.Sequential(chromatic(), MaskedLinear(3, 1)),
            None,
            r"got Sequential with \['colors', 'mask'\]",
        ),
        (chromatic(), 3, "num_kept is for masked networks"),
        (MaskedLinear(4, 3), None, "a masked network needs num_kept"),
        (MaskedLinear(4, 3), 13, "num_kept must be between 1 and 12, .* got 13"),
        (
            mlp(4, [6], 3, layer=partial(ChromaticLinear, palette=5)),
            None,
            "got 2 layers with 2 palettes; build them with the same Palette",
        ),
    ],
)
def test_networks_without_a_space(network: nn.Module, num_kept: int | None, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        SearchSpace.of(network, num_kept=num_kept)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coloring(0, 3), "must be at least 1, got 0 and 3"),
        (lambda: Coloring(3, 0), "must be at least 1, got 3 and 0"),
        (lambda: EdgeSubset(4, 5), "num_kept must be between 1 and 4, .* got 5"),
        (lambda: EdgeSubset(4, 0), "got 0"),
    ],
)
def test_bad_sizes(make: Callable[[], SearchSpace], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make()


@pytest.mark.parametrize(
    ("space", "decisions", "message"),
    [
        (Coloring(3, 4), [[0, 1]], r"shape \(n, 3\), got \(1, 2\)"),
        (Coloring(3, 4), [0, 1, 2], r"shape \(n, 3\), got \(3,\)"),
        (Coloring(3, 4), [[0.0, 1.0, 2.0]], "must be integers, got torch.float32"),
        (Coloring(3, 4), [[0, 1, 4]], r"colours must lie in 0..3, got values from 0 to 4"),
        (Coloring(3, 4), [[-1, 1, 2]], "got values from -1 to 2"),
        (EdgeSubset(5, 2), [[0, 5]], r"edges must lie in 0..4, got values from 0 to 5"),
        (EdgeSubset(5, 2), [[-1, 3]], "got values from -1 to 3"),
        (EdgeSubset(5, 2), [[0, 1], [3, 3]], "must be distinct"),
        (EdgeSubset(5, 2), [[0, 1, 2]], r"shape \(n, 2\), got \(1, 3\)"),
    ],
)
def test_decisions_that_are_not_members(space: SearchSpace, decisions: list, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        space.check(torch.tensor(decisions))


def test_the_order_of_an_edge_set_does_not_matter() -> None:
    space, decisions = EdgeSubset(5, 3), torch.tensor([[4, 0, 2], [0, 2, 4]])
    space.check(decisions)
    first, second = space.decode(decisions)
    assert torch.equal(first, second)
