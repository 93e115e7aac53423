"""Draws from search spaces: structures and children are as likely as they should be."""

import math

import pytest
import torch
from torch import Tensor

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


def assert_uniform(draws: Tensor, num_outcomes: int) -> None:
    """χ² of the rows of ``draws`` lies within five standard deviations of its mean."""
    counts = draws.unique(dim=0, return_counts=True)[1].double()
    assert len(counts) == num_outcomes
    expected, freedom = len(draws) / num_outcomes, num_outcomes - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (Coloring(4, 3), 81),
        (EdgeSubset(6, 3), 20),
        (LayerwiseEdgeSubset([(4, 2), (3, 1)]), 18),
        (EdgeMask(6), 64),
        (UnitActivationChoice(2), 121),
        (ColoredEdges(Coloring(4, 2), EdgeSubset(4, 2)), 24),
        (ColoredEdges(Coloring(2, 2), LayerwiseEdgeSubset([(2, 1)])), 4),
        (EdgeMask(3) * UnitActivationChoice(2, ["tanh", "sin", "abs"]), 72),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SearchSpace) else None,
)
def test_samples_are_uniform(space: SearchSpace, size: int) -> None:
    assert_uniform(space.decode(space.sample(100 * size, seeded())), size)
    assert space.log10_size == pytest.approx(math.log10(size))


def test_an_edge_under_a_mask_is_missing_half_of_the_time_and_its_colour_uniform() -> None:
    space = ColoredEdges(Coloring(1, 3), EdgeMask(1))
    colors = space.decode(space.sample(9000, seeded()))[:, 0]
    counts = torch.bincount(colors + 1, minlength=4).double()
    expected = torch.tensor([4500.0, 1500.0, 1500.0, 1500.0], dtype=torch.float64)
    assert float(((counts - expected) ** 2 / expected).sum()) < 3 + 5 * math.sqrt(6)


@pytest.mark.parametrize(
    ("space", "parent", "neighbours"),
    [
        (Coloring(4, 3), [0, 1, 2, 0], 8),
        (EdgeSubset(6, 3), [0, 2, 5], 9),
        (EdgeMask(5), [0, 1, 1, 0, 0], 5),
        (UnitActivationChoice(3), [10, 0, 4], 30),
        (LayerwiseEdgeSubset([(4, 2), (4, 2)]), [0, 3, 1, 2], 8),
        (LayerwiseEdgeSubset([(4, 2), (2, 2)]), [0, 3, 0, 1], 4),  # the second layer keeps all
        (Coloring(2, 4) * UnitActivationChoice(3, ["tanh", "sin", "abs", "cos"]), [0] * 5, 15),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SearchSpace) else None,
)
def test_children_are_uniform_among_the_neighbours(
    space: SearchSpace, parent: list[int], neighbours: int
) -> None:
    parents = torch.tensor(parent).expand(1000 * neighbours, -1)
    assert_uniform(space.mutate(parents, seeded()), neighbours)


def test_the_factor_that_mutates_is_drawn_in_proportion_to_its_decisions() -> None:
    space = Coloring(6, 2) * UnitActivationChoice(2) * UnitActivationChoice(5, ["tanh"])
    parents = space.sample(8000, seeded())
    in_colors = (space.mutate(parents, seeded()) != parents)[:, :6].any(dim=1).double()
    assert abs(float(in_colors.mean()) - 6 / 8) < 5 * math.sqrt(6 / 8 * 2 / 8 / 8000)


def test_a_coloured_edge_set_is_recoloured_or_changes_its_edges() -> None:
    space = ColoredEdges(Coloring(4, 3), EdgeSubset(4, 2))
    parent = torch.tensor([0, 1, 2, 0, 1, 3])  # the edges 1 and 3, of colours 1 and 0
    children = space.mutate(parent.expand(8000, -1), seeded())
    seen = {tuple(row) for row in children.unique(dim=0).tolist()}
    recolored = {(0, c, 2, 0, 1, 3) for c in (0, 2)} | {(0, 1, 2, c, 1, 3) for c in (1, 2)}
    moved = {(0, 1, 2, 0, *edges) for edges in ((0, 1), (0, 3), (1, 2), (2, 3))}
    assert seen == recolored | moved
    in_colors = (children != parent)[:, :4].any(dim=1).double()
    assert abs(float(in_colors.mean()) - 2 / 4) < 5 * math.sqrt(1 / 4 / 8000)


def test_an_empty_mask_of_colours_can_only_gain_edges() -> None:
    space = ColoredEdges(Coloring(3, 5), EdgeMask(3))
    children = space.mutate(torch.zeros(300, 6, dtype=torch.int64), seeded())
    assert {tuple(row) for row in space.decode(children).tolist()} == {
        (0, -1, -1), (-1, 0, -1), (-1, -1, 0),
    }  # fmt: skip
