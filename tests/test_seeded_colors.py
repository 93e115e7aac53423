"""Colourings that a seed stands for."""

import copy

import torch
from hypothesis import given
from hypothesis import strategies as st

from structured_layers import ChromaticLinear
from structured_layers.layers.seeded_colors import seeded_colors


@given(
    seed=st.integers(0, 2**32 - 1),
    num_colors=st.integers(1, 40),
    out=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_a_seeds_colouring_is_balanced(seed: int, num_colors: int, out: int, width: int) -> None:
    colors = seeded_colors(seed, num_colors, out, width)
    uses = torch.bincount(colors.flatten(), minlength=num_colors)
    assert colors.shape == (out, width)
    assert uses.max() - uses.min() <= 1


def test_a_seeds_colouring_never_changes() -> None:
    assert seeded_colors(2021, 4, 3, 5).tolist() == [
        [2, 3, 2, 0, 0],
        [0, 3, 1, 2, 1],
        [1, 3, 3, 1, 0],
    ]


def test_seeds_give_different_colourings() -> None:
    colorings = {tuple(seeded_colors(seed, 4, 6, 6).flatten().tolist()) for seed in range(200)}
    assert len(colorings) == 200


def test_colours_do_not_lean_to_places() -> None:
    # 4,000 seeds: the share of each of 4 colours on each edge has a standard error of 0.0068.
    drawn = torch.stack([seeded_colors(seed, 4, 3, 4) for seed in range(4000)])
    shares = torch.stack([(drawn == color).double().mean(0) for color in range(4)])
    assert float((shares - 0.25).abs().max()) < 4.5 * 0.0068


def test_random_layers_know_their_seed() -> None:
    layer = ChromaticLinear(7, 5, palette=3)
    for known in (layer, copy.deepcopy(layer)):
        assert torch.equal(known.colors, seeded_colors(known.color_seed, 3, 5, 7))
    assert ChromaticLinear(7, 5, palette=3, colors=layer.colors).color_seed is None
