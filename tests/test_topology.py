"""The discrete structure of a network as one vector."""

from functools import partial

import pytest
import torch
from torch import nn

from structured_layers import (
    ChromaticLinear,
    MaskedLinear,
    Palette,
    StructuredLayersError,
    ToeplitzLinear,
    mlp,
    topology_size,
    topology_to_vector,
    vector_to_topology,
)

COLORS = torch.tensor([[0, 1, -1], [2, 1, 0]])
MASK = torch.tensor([[True, False]])


def make_network() -> nn.Sequential:
    return nn.Sequential(
        ChromaticLinear(3, 2, palette=3, colors=COLORS),
        nn.Sequential(ToeplitzLinear(2, 2), MaskedLinear(2, 1, mask=MASK)),
    )


def test_layers_come_in_order_row_by_row() -> None:
    network = make_network()
    assert topology_to_vector(network).tolist() == [0, 1, -1, 2, 1, 0, 1, 0]
    assert topology_to_vector(network).dtype == torch.int64
    assert topology_size(network) == 8


def test_a_vector_makes_the_round_trip_in_place() -> None:
    network = make_network()
    colors, mask = network[0].colors, network[1][1].mask
    vector = torch.tensor([2, 2, 2, -1, 0, 1, 0, 1])
    vector_to_topology(vector, network)
    assert torch.equal(topology_to_vector(network), vector)
    assert network[0].colors is colors
    assert network[1][1].mask is mask
    assert mask.tolist() == [[False, True]]
    assert torch.equal(network[0].weight == 0, vector[:6].view(2, 3) == -1)


def test_the_vector_is_a_copy() -> None:
    layer = ChromaticLinear(3, 2, palette=3, colors=COLORS)
    topology_to_vector(layer).fill_(-1)
    assert torch.equal(layer.colors, COLORS)


def test_a_network_without_structure_has_an_empty_vector() -> None:
    network = mlp(3, [4], 2)
    assert topology_size(network) == 0
    assert topology_to_vector(network).shape == (0,)
    vector_to_topology(torch.empty(0, dtype=torch.int64), network)


def test_layers_of_one_palette_keep_their_own_colours() -> None:
    network = mlp(3, [4], 2, layer=partial(ChromaticLinear, palette=Palette(5)))
    vector = torch.randint(-1, 5, (20,))
    vector_to_topology(vector.to(torch.int32), network)
    assert torch.equal(network[0].colors.flatten(), vector[:12])
    assert torch.equal(network[2].colors.flatten(), vector[12:])


GOOD = [0, 1, -1, 2, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (torch.tensor([*GOOD, 0]), r"shape \(8,\), got torch.int64 of shape \(9,\)"),
        (torch.tensor([GOOD]), r"of shape \(1, 8\)"),
        (torch.tensor(GOOD, dtype=torch.float32), "got torch.float32"),
        (torch.tensor(GOOD) > 0, "got torch.bool"),
        (GOOD, "got a list"),
        (torch.tensor([3, *GOOD[1:]]), "0.colors takes integers from -1 to 2, got -1 to 3"),
        (torch.tensor([-2, *GOOD[1:]]), "0.colors takes integers from -1 to 2, got -2 to 2"),
        (torch.tensor([*GOOD[:-1], 2]), "1.1.mask takes integers from 0 to 1, got 1 to 2"),
        (torch.tensor([*GOOD[:-1], -1]), "1.1.mask takes .* got -1 to 1"),
    ],
)
def test_a_bad_vector_changes_nothing(vector: object, message: str) -> None:
    network = make_network()
    with pytest.raises(StructuredLayersError, match=message):
        vector_to_topology(vector, network)
    assert topology_to_vector(network).tolist() == GOOD
