"""The structures that a controller chooses from."""

import math
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from structured_layers import (
    StructuredLayersError,
)
from structured_layers.algorithms import (
    ColoredEdges,
    Coloring,
    EdgeMask,
    EdgeSubset,
    LayerwiseEdgeSubset,
    SearchSpace,
    UnitActivationChoice,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


SPACES = {
    "coloring": Coloring(num_edges=16, num_colors=8),
    "one-color": Coloring(num_edges=4, num_colors=1),
    "two-colors": Coloring(num_edges=1, num_colors=2),
    "edges": EdgeSubset(num_edges=20, num_kept=6),
    "one-edge": EdgeSubset(num_edges=5, num_kept=1),
    "all-edges": EdgeSubset(num_edges=5, num_kept=5),
    "layerwise": LayerwiseEdgeSubset([(6, 2), (4, 4), (5, 1)]),
    "all-layerwise": LayerwiseEdgeSubset([(3, 3), (2, 2)]),
    "mask": EdgeMask(num_edges=16),
    "units": UnitActivationChoice(num_units=7),
    "two-kinds": UnitActivationChoice(num_units=1, kinds=["sin", "step"]),
    "one-kind": UnitActivationChoice(num_units=3, kinds=["relu"]),
    "colored-mask": ColoredEdges(Coloring(9, 4), EdgeMask(9)),
    "colored-edges": ColoredEdges(Coloring(9, 4), EdgeSubset(9, 3)),
    "one-color-of-edges": ColoredEdges(Coloring(9, 1), EdgeSubset(9, 3)),
    "all-colored-edges": ColoredEdges(Coloring(9, 4), EdgeSubset(9, 9)),
    "one-color-of-all-edges": ColoredEdges(Coloring(9, 1), EdgeSubset(9, 9)),
    "product": Coloring(6, 3) * UnitActivationChoice(4) * EdgeSubset(6, 2),
    "edges-and-units": EdgeMask(5) * UnitActivationChoice(4, ["abs", "cos"]),
}


def in_groups(space: SearchSpace) -> Tensor:
    """Which decisions belong to a group of distinct ones, (K,)."""
    inside = torch.zeros(space.num_decisions, dtype=torch.bool)
    for group in space.distinct_groups:
        inside[group] = True
    return inside


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
def test_spaces_travel_to_other_processes(space: SearchSpace) -> None:
    copy = pickle.loads(pickle.dumps(space))
    decisions = copy.sample(20, seeded())
    assert torch.equal(decisions, space.sample(20, seeded()))
    assert torch.equal(copy.decode(decisions), space.decode(decisions))


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


@each_space
def test_every_child_looks_like_its_parent_but_for_one_choice(space: SearchSpace) -> None:
    parents = space.sample(200, seeded())
    children = space.mutate(parents, seeded(1))
    if space.log10_size == 0:
        assert torch.equal(children, parents)
        return
    shown = (space.decode(parents) != space.decode(children)).sum(dim=1)
    is_exchange = (parents != children)[:, in_groups(space)].any(dim=1)
    assert torch.equal(shown, torch.where(is_exchange, 2, 1))
    assert torch.equal(
        (parents != children)[:, ~in_groups(space)].sum(dim=1), (~is_exchange).long()
    )


@each_space
def test_decisions_lie_in_the_range_of_their_choices(space: SearchSpace) -> None:
    choices = space.num_choices
    assert choices.shape == (space.num_decisions,)
    assert choices.dtype == torch.int64
    decisions = space.sample(500, seeded())
    assert (decisions >= 0).all()
    assert (decisions < choices).all()
    for column in range(space.num_decisions):
        row = decisions[:1].clone()
        row[0, column] = choices[column]
        with pytest.raises(StructuredLayersError):
            space.check(row)


@each_space
def test_groups_hold_distinct_decisions_in_ascending_order(space: SearchSpace) -> None:
    decisions = space.sample(100, seeded())
    for rows in (decisions, space.mutate(decisions, seeded())):
        for group in space.distinct_groups:
            assert (rows[:, group].diff(dim=1) > 0).all()


@each_space
def test_choices_and_groups_tell_the_number_of_decision_vectors(space: SearchSpace) -> None:
    size = math.prod(space.num_choices[~in_groups(space)].tolist())
    for group in space.distinct_groups:
        (choices,) = set(space.num_choices[group].tolist())
        size *= math.comb(choices, group.stop - group.start)
    hides_colors = "ColoredEdges" in type(space).__name__ or hasattr(space, "factors")
    if hides_colors:
        assert space.log10_size <= math.log10(size) + 1e-9
    else:
        assert space.log10_size == pytest.approx(math.log10(size))


@pytest.mark.parametrize(
    "name",
    ["one-color", "all-edges", "all-layerwise", "one-kind", "one-color-of-all-edges"],
)
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


@pytest.mark.parametrize(
    ("space", "log10_size"),
    [
        (Coloring(16, 8), 14.4),  # ES-ENAS on Swimmer's linear policy
        (EdgeSubset(320, 64), 68.3),  # ES-ENAS on Swimmer with 32 hidden units
        (EdgeSubset(6, 3), math.log10(20)),
        (Coloring(4, 3), math.log10(81)),
        (LayerwiseEdgeSubset([(256, 32), (64, 32)]), 59),  # ES-ENAS, 32 + 32 of them
        (EdgeMask(16), 16 * math.log10(2)),
        (UnitActivationChoice(32), 32 * math.log10(11)),
        (ColoredEdges(Coloring(3, 4), EdgeMask(3)), math.log10(5**3)),
        (ColoredEdges(Coloring(4, 3), EdgeSubset(4, 2)), math.log10(6 * 3**2)),
    ],
)
def test_sizes(space: SearchSpace, log10_size: float) -> None:
    assert space.log10_size == pytest.approx(log10_size, abs=0.5 if log10_size == 59 else 0.05)


@given(edges=st.integers(1, 12), colors=st.integers(1, 6), kept=st.integers(1, 12))
def test_sizes_are_exact(edges: int, colors: int, kept: int) -> None:
    kept = min(kept, edges)
    subset = EdgeSubset(edges, kept)
    assert 10**subset.log10_size == pytest.approx(math.comb(edges, kept))
    colored = ColoredEdges(Coloring(edges, colors), subset)
    assert 10**colored.log10_size == pytest.approx(math.comb(edges, kept) * colors**kept)
    masked = ColoredEdges(Coloring(edges, colors), EdgeMask(edges))
    assert 10**masked.log10_size == pytest.approx((colors + 1) ** edges)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coloring(0, 3), "num_edges must be an integer of at least 1, got 0"),
        (lambda: Coloring(3, 2.5), r"num_colors must be an integer of at least 1, got 2\.5"),
        (lambda: EdgeMask(0), "num_edges must be an integer of at least 1, got 0"),
        (lambda: EdgeMask(2.0), r"num_edges must be an integer of at least 1, got 2\.0"),
        (lambda: LayerwiseEdgeSubset([]), "at least one layer"),
        (lambda: LayerwiseEdgeSubset([(4, 2), (3, 5)]), "layer 2: num_kept must be .* 3, .* got 5"),
        (lambda: LayerwiseEdgeSubset([3, 4]), "layers must be pairs, .* got 3"),
        (lambda: UnitActivationChoice(0), "num_units must be an integer of at least 1, got 0"),
        (
            lambda: UnitActivationChoice(2, ["tanh", "gelu", "swish"]),
            "activations must be among tanh, relu, .*, step, got 'gelu', 'swish'",
        ),
        (lambda: UnitActivationChoice(2, "tanh"), "a sequence of names such as .* got 'tanh'"),
        (lambda: UnitActivationChoice(2, []), "at least one non-linearity, and each one once"),
        (lambda: UnitActivationChoice(2, ["sin", "sin"]), "each one once, got .'sin', 'sin'."),
        (
            lambda: ColoredEdges(Coloring(4, 2), EdgeMask(5)),
            "one over 5 edges and a colouring of 4",
        ),
        (lambda: EdgeSubset(4, 5), "num_kept must be an integer from 1 to 4, .* got 5"),
        (lambda: EdgeSubset(4, 2.5), r"num_kept must be .* got 2\.5"),
        (lambda: EdgeSubset("4", 2), "num_edges must be .* got '4'"),
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
        (LayerwiseEdgeSubset([(3, 1), (4, 2)]), [[3, 0, 1]], "edges must lie in 0..2, got .* 3"),
        (LayerwiseEdgeSubset([(3, 1), (4, 2)]), [[2, 1, 1]], "must be distinct"),
        (EdgeMask(2), [[0, 2]], "the entries of a mask must lie in 0..1, got values from 0 to 2"),
        (UnitActivationChoice(1, ["sin"]), [[1]], "activations must lie in 0..0"),
        (ColoredEdges(Coloring(1, 2), EdgeMask(1)), [[2, 0]], "colours must lie in 0..1"),
        (EdgeMask(1) * UnitActivationChoice(1), [[1, 11]], "activations must lie in 0..10"),
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
    assert torch.equal(space.canonical(decisions.int()), decisions[[1, 1]])  # as it is stored
