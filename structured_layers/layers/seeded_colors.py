"""Random colourings that a 32-bit seed stands for, in any language that has 64-bit integers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SEED_BITS = 32


def draw_seed() -> int:
    """Draw a seed from torch's global generator."""
    return int(torch.randint(2**SEED_BITS, (), device="cpu"))


def seeded_colors(seed: int, num_colors: int, out_features: int, in_features: int) -> Tensor:
    """Return the balanced colouring of a seed, in which the uses of any two colours differ by one.

    The edges are put into the order of a hash of seed and place, and dealt out to the colours in
    turn. Only integer arithmetic is used, so the colouring is the same everywhere and for ever.

    Args:
        seed: 0 to 2³² − 1.
        num_colors: the number of colours.
        out_features: number of rows.
        in_features: number of columns.

    Returns:
        (out, in) int64 on the CPU.

    Examples:
        >>> seeded_colors(7, 3, 2, 4)
        tensor([[2, 2, 1, 0],
                [0, 0, 2, 1]])

    Reference:
        Steele, Lea & Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, for the
        hash.
    """
    num_edges = out_features * in_features
    order = np.argsort(_hashes(2 * seed, num_edges))
    # The colours that are used once more than the others are random as well.
    labels = np.argsort(_hashes(2 * seed + 1, num_colors))
    colors = np.empty(num_edges, np.int64)
    colors[order] = labels[np.arange(num_edges) % num_colors]
    return torch.from_numpy(colors.reshape(out_features, in_features))


def _hashes(stream: int, count: int) -> NDArray[np.uint64]:
    """Return the first distinct 64-bit numbers of a stream of the SplitMix64 generator."""
    start = _mix(np.full(1, stream, np.uint64))
    return _mix(start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
