"""Sizes: the papers' tables, and what storing a network takes."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SkipMLP,
    SoftMaskedLinear,
    StructuredLayersError,
    ToeplitzLinear,
    UnitActivations,
    convert_,
    mlp,
    summarize,
)

SIZES = {"Striker": (23, 7), "HalfCheetah": (17, 6), "Hopper": (11, 3), "Walker2d": (17, 6)}

# Environment, structure, weights, compression in percent, bits: Table 2 of Song et al.,
# Reinforcement Learning with Chromatic Networks, 2019 (arXiv 1907.06511), in whose printed rows a
# missing number is None, then the rows that only Table 2 of Song et al., ES-ENAS, 2021
# (arXiv 2101.07415) has; the others are the same in both.
ROWS = [
    ("Striker", "chromatic", 23, 95, 8198),
    ("Striker", "soft_masked", 25, 95, 8262),
    ("Striker", "toeplitz", 110, 88, 4832),
    ("Striker", "circulant", 82, 90, 3936),
    ("Striker", "dense", 1230, 0, 40672),
    ("HalfCheetah", "chromatic", 17, 94, 6571),
    ("HalfCheetah", "soft_masked", 40, 92, 8250),
    ("HalfCheetah", "toeplitz", 103, 85, None),
    ("HalfCheetah", "circulant", 82, 88, None),
    ("HalfCheetah", "dense", 943, 0, 31488),
    ("Hopper", "chromatic", 11, 92, 3960),
    ("Hopper", "soft_masked", 17, 91, 4726),
    ("Hopper", "toeplitz", 94, 78, 4320),
    ("Hopper", "circulant", 82, 80, 3936),
    ("Hopper", "dense", 574, 0, 19680),
    ("Walker2d", "chromatic", 17, 94, 6571),
    ("Walker2d", "soft_masked", 19, 94, 6635),
    ("Walker2d", "toeplitz", 103, 85, None),
    ("Walker2d", "circulant", 82, 88, None),
    ("Walker2d", "dense", 943, 0, 31488),
    ("HalfCheetah", "toeplitz", 103, 85, 4608),
    ("HalfCheetah", "circulant", 82, 88, 3936),
    ("Walker2d", "toeplitz", 103, 85, 4608),
    ("Walker2d", "circulant", 82, 88, 3936),
    ("Striker", "masked", 64, None, 3072),
    ("HalfCheetah", "masked", 64, None, 3072),
    ("Hopper", "masked", 64, None, 3072),
    ("Walker2d", "masked", 64, None, 3072),
]


def paper_network(env: str, structure: str, weights: int) -> nn.Module:
    """Return the network of a row: 41 hidden units, 32 with pruned edges."""
    states, actions = SIZES[env]
    layers: dict[str, Callable[..., nn.Module]] = {
        "chromatic": partial(ChromaticLinear, palette=Palette(weights)),
        "soft_masked": SoftMaskedLinear,
        "toeplitz": ToeplitzLinear,
        "circulant": CirculantLinear,
        "dense": nn.Linear,
        "masked": nn.Linear,
    }
    hidden = 32 if structure == "masked" else 41
    network = mlp(states, [hidden], actions, layer=layers[structure])
    if structure == "masked":
        convert_(network, "masked", num_edges=weights)
    if structure == "soft_masked":
        keep_edges(network, weights)
    return network


def keep_edges(network: nn.Module, num_edges: int) -> None:
    """Open the gates of so many edges, one of them in the last layer."""
    first, last = network[0], network[2]
    for layer, kept in ((first, num_edges - 1), (last, 1)):
        logits = torch.full_like(layer.logits, -1.0).flatten()
        logits[:kept] = 1.0
        layer.logits.data.copy_(logits.view_as(layer.logits))


@pytest.mark.parametrize(("env", "structure", "weights", "compression", "bits"), ROWS)
def test_the_papers_tables(
    env: str, structure: str, weights: int, compression: int | None, bits: int | None
) -> None:
    size = summarize(paper_network(env, structure, weights))
    assert size.weights == weights
    if compression is not None:
        assert round(100 * size.paper_compression) == compression
    if bits is not None:
        assert size.bits["paper"] == bits


def test_true_compression_of_the_papers_policies_at_32_units() -> None:
    colored = mlp(17, [32], 6, layer=partial(ChromaticLinear, palette=Palette(17)))
    pruned = mlp(17, [32], 6)
    convert_(pruned, "masked", num_edges=64)
    swimmer = mlp(8, [], 2, layer=partial(ChromaticLinear, palette=Palette(8)))
    sizes = [summarize(network).compression for network in (colored, pruned, swimmer)]
    assert [round(100 * size) for size in sizes] == [93, 87, 44]


def test_all_biases_count_in_the_true_compression() -> None:
    size = summarize(mlp(17, [41], 6, layer=ToeplitzLinear))
    assert (size.weights, size.biases, size.dense_weights) == (103, 47, 943)
    assert size.compression == 1 - (103 + 47) / (943 + 47)
    assert size.paper_compression == 1 - (103 + 41) / (943 + 41)
    assert set(size.bits) == {"paper", "bitmask", "coordinates", "entropy"}
    assert size.bits["bitmask"] == 32 * (103 + 47)


def test_a_mask_is_stored_in_each_scheme() -> None:
    network = mlp(17, [41], 6, layer=SoftMaskedLinear, output_bias=False)
    keep_edges(network, 40)
    bits = summarize(network).bits
    assert bits["bitmask"] == 32 * (40 + 41) + 943
    assert bits["coordinates"] == 32 * (40 + 41) + 39 * 10 + 1 * 8  # of 697 and of 246 places
    shares = [(39, 697), (1, 246)]
    entropy = sum(k * math.log2(n / k) + (n - k) * math.log2(n / (n - k)) for k, n in shares)
    assert bits["entropy"] == 32 * (40 + 41) + math.ceil(entropy)
    network[0], network[2] = network[0].harden(), network[2].harden()
    hardened = summarize(network).bits
    assert hardened == {**bits, "paper": 32 * (40 + 41)}


def test_a_mask_of_all_edges_costs_nothing() -> None:
    size = summarize(mlp(5, [4], 3, layer=MaskedLinear))
    assert set(size.bits.values()) == {32 * (32 + 7), 32 * (32 + 4)}


def test_colours_are_stored_in_each_scheme() -> None:
    colors = torch.tensor([[0, 0, 0, -1], [1, 2, 0, 0]])
    size = summarize(ChromaticLinear(4, 2, bias=False, palette=3, colors=colors))
    assert size.bits == {
        "paper": 32 * 3 + 8 * 2,
        "bitmask": 32 * 3 + 8 + 7 * 2,
        "coordinates": 32 * 3 + 7 * 3 + 7 * 2,
        "entropy": 32 * 3 + math.ceil(5 * math.log2(8 / 5) + 3 * 3),
    }


def test_a_seed_stores_random_colours_until_they_change() -> None:
    network = mlp(17, [41], 6, layer=partial(ChromaticLinear, palette=Palette(17)))
    assert summarize(network).bits["seed"] == 32 * (17 + 47) + 2 * 32
    with torch.no_grad():
        network[0].colors[0, 0] = (network[0].colors[0, 0] + 1) % 17
    assert "seed" not in summarize(network).bits


def test_scales_count_as_weights_and_shared_ones_once() -> None:
    palette = Palette(5)
    scaled = [ChromaticLinear(4, 4, palette=palette, scale=1.0) for _ in range(2)]
    assert summarize(nn.Sequential(*scaled)).weights == 5 + 2
    layer = nn.Linear(4, 4)
    tied = nn.Linear(4, 4)
    tied.weight = layer.weight
    size = summarize(nn.Sequential(layer, layer, tied))
    assert (size.weights, size.dense_weights, size.biases) == (16, 16, 8)


def test_learned_structure_counts_as_what_it_hardens_to() -> None:
    learning = nn.Sequential(
        ChromaticLinear(6, 5, palette=4, learn_colors=True),
        MaskedLinear(5, 4, learn_mask=True, num_edges=7),
    )
    hardened = nn.Sequential(*(layer.harden() for layer in learning))
    assert summarize(learning) == summarize(hardened)
    assert summarize(learning).weights == 4 + 1 + 7


def test_what_is_no_linear_layer_counts_the_same_with_and_without_structure() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), ToeplitzLinear(8, 5))
    size = summarize(network)
    assert (size.weights, size.dense_weights, size.biases) == (18 + 12, 18 + 40, 7)


def test_displacement_rank_and_activations_of_units() -> None:
    layer = partial(LowDisplacementRankLinear, rank=2)
    size = summarize(mlp(6, [5], 3, layer=layer, activation=UnitActivations))
    assert size.weights == 2 * (11 + 8)
    assert size.bits["bitmask"] == 32 * (38 + 8) + 5 * 4  # 11 activations in 4 bits
    assert size.bits["paper"] == 32 * (38 + 5)


def test_edges_that_skip_layers() -> None:
    size = summarize(SkipMLP(8, [32], 2))
    assert (size.weights, size.dense_weights, size.biases) == (336, 336, 34)


def test_an_empty_module_has_size_zero() -> None:
    size = summarize(nn.Tanh())
    assert (size.weights, size.compression) == (0, 1.0)


def test_the_table_shows_every_scheme() -> None:
    size = summarize(mlp(17, [41], 6, layer=ToeplitzLinear))
    lines = str(size).splitlines()
    assert lines[0].split() == ["weights", "103", "of", "943"]
    assert [line.split()[1] for line in lines if line.startswith("bits")] == list(size.bits)
    assert len({len(line) for line in lines}) == 1


def test_bad_input() -> None:
    with pytest.raises(StructuredLayersError, match="summarize needs a module, got a list"):
        summarize([nn.Linear(2, 2)])
    network = nn.Sequential(ChromaticLinear(2, 2, palette=2)).to("meta")
    with pytest.raises(StructuredLayersError, match="^0 lies on the meta device"):
        summarize(network)
