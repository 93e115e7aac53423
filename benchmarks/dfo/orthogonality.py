"""How orthogonal Hadamard directions are at the suite's dimensions, measured.

Their rows are cut from a matrix whose size is a power of two, so a whole block of n rows is
orthogonal only if n is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from structured_layers.algorithms.directions import hadamard

from .least_squares import LeastSquares
from .objective import generator_of


def largest_cosine(dimension: int) -> float:
    """Return max |cos| between two of n Hadamard directions in n dimensions.

    Every draw has the same: random signs of the columns leave inner products as they are.
    """
    rows = hadamard(dimension, dimension, generator_of("hadamard"), torch.float64)
    cosines = rows @ rows.T / dimension  # of norm √n each
    return float((cosines - torch.eye(dimension)).abs().max())


def is_power_of_two(dimension: int) -> bool:
    """Say whether a block of n Hadamard directions is orthogonal."""
    return dimension & (dimension - 1) == 0


def cosines_table(problems: Sequence[LeastSquares]) -> list[list[str]]:
    """Return a row of dimensions, one of the problems that have them and one of cosines."""
    counts = sorted(Counter(problem.dimension for problem in problems).items())
    return [
        ["n", *(str(n) for n, _ in counts)],
        ["problems", *(str(count) for _, count in counts)],
        ["largest cosine", *(f"{largest_cosine(n):.2f}" for n, _ in counts)],
    ]
