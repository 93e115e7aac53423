"""Entropy and distances of colourings."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from structured_layers import ChromaticLinear, MissingDependencyError, StructuredLayersError
from structured_layers.metrics import (
    adjusted_rand_index,
    partition_entropy,
    rand_index,
    recolored_edges,
    variation_of_information,
)

DISTANCES = [rand_index, adjusted_rand_index, variation_of_information, recolored_edges]
colorings = st.lists(st.integers(-1, 5), min_size=2, max_size=30)


def renamed(colors: list[int]) -> list[int]:
    names = {-1: 4, 0: 9, 1: -1, 2: 3, 3: 0, 4: 7, 5: 5}
    return [names[color] for color in colors]


@given(colorings)
def test_renaming_colours_changes_no_partition(colors: list[int]) -> None:
    other = renamed(colors)
    assert variation_of_information(colors, other) == 0
    assert rand_index(colors, other) == 1
    assert adjusted_rand_index(colors, other) == 1
    assert partition_entropy(colors) == pytest.approx(partition_entropy(other))


@given(st.lists(st.tuples(*[st.integers(-1, 4)] * 3), min_size=2, max_size=30))
def test_variation_of_information_is_a_metric(edges: list[tuple[int, int, int]]) -> None:
    a, b, c = (np.array(colors) for colors in zip(*edges, strict=True))
    assert variation_of_information(a, b) == pytest.approx(variation_of_information(b, a))
    assert variation_of_information(a, b) >= 0
    there = variation_of_information(a, b) + variation_of_information(b, c)
    assert variation_of_information(a, c) <= there + 1e-9


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=2, max_size=30))
def test_distances_by_their_definitions(edges: list[tuple[int, int]]) -> None:
    a, b = (list(colors) for colors in zip(*edges, strict=True))
    information = mutual_info_score(a, b) / math.log(2)
    expected = partition_entropy(a) + partition_entropy(b) - 2 * information
    assert variation_of_information(a, b) == pytest.approx(expected, abs=1e-9)
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    agreed = sum((a[i] == a[j]) == (b[i] == b[j]) for i, j in pairs)
    assert rand_index(a, b) == pytest.approx(agreed / len(pairs))
    assert recolored_edges(a, b) == sum(x != y for x, y in edges)


def test_entropy_of_a_balanced_colouring_is_the_logarithm_of_its_colours() -> None:
    layer = ChromaticLinear(16, 17, palette=17)
    assert partition_entropy(layer.colors) == pytest.approx(math.log2(17))
    assert partition_entropy(torch.zeros(4, dtype=torch.int8)) == 0


@pytest.mark.parametrize("distance", DISTANCES)
def test_colourings_of_different_edges(distance: object) -> None:
    with pytest.raises(StructuredLayersError, match=r"same edges, got shapes \(3,\) and \(4,\)"):
        distance([0, 1, 2], [0, 1, 2, 3])


@pytest.mark.parametrize("colors", [[], [0.5, 1.0], [True, False], ["a"]], ids=str)
def test_what_is_no_colouring(colors: list[object]) -> None:
    with pytest.raises(StructuredLayersError, match="must be a tensor or array of integers"):
        partition_entropy(colors)


@pytest.mark.parametrize("distance", DISTANCES)
def test_ragged_sequences(distance: object) -> None:
    with pytest.raises(StructuredLayersError, match="whose parts differ in length"):
        distance([[1], [1, 2]], [0, 1, 2])


@pytest.mark.parametrize("distance", [rand_index, adjusted_rand_index])
def test_a_missing_library_is_named(distance: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingDependencyError, match=r'"structured-layers\[metrics\]"'):
        distance([0, 1], [0, 1])
