"""The counts, compressions and bits that the papers print."""

import pytest
import torch
from torch import nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    StructuredLayersError,
    ToeplitzLinear,
    mlp,
)
from structured_layers.metrics import Size, size_of
from structured_layers.specs import NetworkSpec

DIMENSIONS = {"Striker": (23, 7), "HalfCheetah": (17, 6), "Hopper": (11, 3), "Walker2d": (17, 6)}

# Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Table 2, and the same numbers in Song et al.,
# Chromatic Networks, 2019 (arXiv 1907.06511), Table 2: weights, compression in %, bits. One hidden
# layer of 41.
TABLE = [
    ("Striker", "chromatic", 23, 95, 8198),
    ("Striker", "toeplitz", 110, 88, 4832),
    ("Striker", "circulant", 82, 90, 3936),
    ("Striker", "dense", 1230, 0, 40672),
    ("HalfCheetah", "chromatic", 17, 94, 6571),
    ("HalfCheetah", "toeplitz", 103, 85, 4608),
    ("HalfCheetah", "circulant", 82, 88, 3936),
    ("HalfCheetah", "dense", 943, 0, 31488),
    ("Hopper", "chromatic", 11, 92, 3960),
    ("Hopper", "toeplitz", 94, 78, 4320),
    ("Hopper", "circulant", 82, 80, 3936),
    ("Hopper", "dense", 574, 0, 19680),
    ("Walker2d", "chromatic", 17, 94, 6571),
    ("Walker2d", "toeplitz", 103, 85, 4608),
    ("Walker2d", "circulant", 82, 88, 3936),
    ("Walker2d", "dense", 943, 0, 31488),
]


@pytest.mark.parametrize("output_bias", [False, True])
@pytest.mark.parametrize(("env", "layer", "weights", "percent", "bits"), TABLE)
def test_the_papers_table(
    env: str, layer: str, weights: int, percent: int, bits: int, output_bias: bool
) -> None:
    observations, actions = DIMENSIONS[env]
    # "M = max(s, a) by default", the number of colours
    num_colors = max(observations, actions) if layer == "chromatic" else None
    spec = NetworkSpec(
        observations, actions, (41,), layer, num_colors=num_colors, output_bias=output_bias
    )
    size = size_of(spec.build())
    assert (size.weights, round(100 * size.compression), size.bits) == (weights, percent, bits)
    assert size.output_biases == (actions if output_bias else 0)


@pytest.mark.parametrize("env", DIMENSIONS)
def test_the_papers_edge_pruning(env: str) -> None:
    """64 edges at 32 hidden units, 3072 bits on every task, in the same table."""
    observations, actions = DIMENSIONS[env]
    network = mlp(observations, [32], actions, layer=MaskedLinear)
    for layer, kept in ((network[0], 40), (network[2], 24)):
        layer.mask.fill_(False).view(-1)[:kept] = True
    size = size_of(network)
    assert (size.weights, size.hidden_biases, size.bits) == (64, 32, 3072)


def with_all_biases(size: Size) -> float:
    return 1 - (size.weights + size.biases) / (size.edges + size.biases)


@pytest.mark.parametrize(
    ("spec", "printed", "counting_all_biases"),
    [
        (NetworkSpec(17, 6, (32,), "chromatic", 17, output_bias=True), 93.6, 92.9),
        (NetworkSpec(8, 2, (), "chromatic", 8, output_bias=True), 50.0, 44.4),
        (NetworkSpec(8, 2, (), "chromatic", 8), 50.0, 50.0),
    ],
)
def test_output_biases_count_as_biases_but_not_in_the_papers_compression(
    spec: NetworkSpec, printed: float, counting_all_biases: float
) -> None:
    size = size_of(spec.build())
    assert round(100 * size.compression, 1) == printed
    assert round(100 * with_all_biases(size), 1) == counting_all_biases


def test_all_counts_of_a_chromatic_network() -> None:
    size = size_of(NetworkSpec(17, 6, (32,), "chromatic", 17, output_bias=True).build())
    assert size == Size(
        edges=736, weights=17, hidden_biases=32, output_biases=6, index_bits=5 * 736
    )
    assert size.biases == 38
    assert size.bits == 32 * (17 + 32) + 5 * 736


@pytest.mark.parametrize(("num_colors", "bits"), [(1, 0), (2, 1), (3, 2), (8, 3), (9, 4)])
def test_an_edge_costs_the_bits_that_name_its_weight(num_colors: int, bits: int) -> None:
    assert size_of(ChromaticLinear(5, 4, palette=num_colors)).index_bits == 20 * bits


def test_nested_networks_of_several_kinds() -> None:
    shared = ToeplitzLinear(5, 5)
    network = nn.Sequential(
        nn.Linear(3, 5), nn.Sequential(shared, nn.Tanh(), shared), MaskedLinear(5, 2, bias=False)
    )
    network[2].mask[0] = torch.tensor([True, False, True, False, False])
    size = size_of(network)
    assert size.weights == 15 + 9 + (2 + 5)
    assert (size.hidden_biases, size.output_biases, size.index_bits) == (10, 0, 0)


def test_a_network_without_linear_layers() -> None:
    with pytest.raises(StructuredLayersError, match="Sequential has no linear layer to count"):
        size_of(nn.Sequential(nn.Tanh()))
