"""The 53 problems: which functions, of which sizes, from where.

Reference:
    Moré and Wild, Benchmarking derivative-free optimization algorithms, SIAM J. Optim. 20 (2009).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import algebraic, curve_fits
from .least_squares import LeastSquares, Residuals

Start = Callable[[int], list[float]]


def ones(n: int) -> list[float]:
    """All variables at 1."""
    return [1.0] * n


def halves(n: int) -> list[float]:
    """All variables at ½."""
    return [0.5] * n


def evenly_spread(n: int) -> list[float]:
    """x_j = j/(n + 1)."""
    return [j / (n + 1) for j in range(1, n + 1)]


def mancino_start(n: int) -> list[float]:
    """A step from 0 along −F(0), which is close to a solution."""
    at_zero = algebraic.mancino(torch.zeros(1, n, dtype=torch.float64), n)[0]
    return [float(value) for value in -8.710996e-4 * at_zero]


def fixed(*values: float) -> Start:
    """A starting point that is given by its numbers."""
    return lambda n: list(values)


# The number of a function is its place in this list, counted from 1.
FUNCTIONS: tuple[tuple[Residuals, Start], ...] = (
    (algebraic.linear_full_rank, ones),
    (algebraic.linear_rank_one, ones),
    (algebraic.linear_rank_one_with_zeros, ones),
    (algebraic.rosenbrock, fixed(-1.2, 1.0)),
    (algebraic.helical_valley, fixed(-1.0, 0.0, 0.0)),
    (algebraic.powell_singular, fixed(3.0, -1.0, 0.0, 1.0)),
    (algebraic.freudenstein_roth, fixed(0.5, -2.0)),
    (curve_fits.bard, ones),
    (curve_fits.kowalik_osborne, fixed(0.25, 0.39, 0.415, 0.39)),
    (curve_fits.meyer, fixed(0.02, 4000.0, 250.0)),
    (algebraic.watson, halves),
    (curve_fits.box, fixed(0.0, 10.0, 20.0)),
    (curve_fits.jennrich_sampson, fixed(0.3, 0.4)),
    (curve_fits.brown_dennis, fixed(25.0, 5.0, -5.0, -1.0)),
    (algebraic.chebyquad, evenly_spread),
    (algebraic.brown_almost_linear, halves),
    (curve_fits.osborne_1, fixed(0.5, 1.5, 1.0, 0.01, 0.02)),
    (curve_fits.osborne_2, fixed(1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5)),
    (algebraic.bdqrtic, ones),
    (algebraic.cube, halves),
    (algebraic.mancino, mancino_start),
    (algebraic.heart8, fixed(-0.3, -0.39, 0.3, -0.344, -1.2, 2.69, 1.59, -1.5)),
)

# In the non-differentiable setting these have one minimiser only where no variable is negative
# (Moré and Wild 2009, section 4).
POSITIVE_PART = (8, 9, 13, 16, 17, 18)

# function, n, m, and whether the problem also starts from 10 x₀
SIZES = (
    (1, 9, 45, True), (2, 7, 35, True), (3, 7, 35, True), (4, 2, 2, True), (5, 3, 3, True),
    (6, 4, 4, True), (7, 2, 2, True), (8, 3, 15, True), (9, 4, 11, False), (10, 3, 16, False),
    (11, 6, 31, True), (11, 9, 31, True), (11, 12, 31, True), (12, 3, 10, False),
    (13, 2, 10, False), (14, 4, 20, True), (15, 6, 6, False), (15, 7, 7, False), (15, 8, 8, False),
    (15, 9, 9, False), (15, 10, 10, False), (15, 11, 11, False), (16, 10, 10, False),
    (17, 5, 33, False), (18, 11, 65, True), (19, 8, 8, False), (19, 10, 12, False),
    (19, 11, 14, False), (19, 12, 16, False), (20, 5, 5, False), (20, 6, 6, False),
    (20, 8, 8, False), (21, 5, 5, True), (21, 8, 8, False), (21, 10, 10, False),
    (21, 12, 12, True), (22, 8, 8, True),
)  # fmt: skip


def more_wild_problems() -> tuple[LeastSquares, ...]:
    """Return the 53 problems in the order of the suite."""
    problems = []
    for function, n, m, also_far in SIZES:
        for factor in (1, 10) if also_far else (1,):
            problems.append(make_problem(len(problems) + 1, function, n, m, factor))
    return tuple(problems)


def make_problem(number: int, function: int, n: int, m: int, factor: int) -> LeastSquares:
    """Return one problem: factor times the function's starting point."""
    residuals, start = FUNCTIONS[function - 1]
    return LeastSquares(
        name=f"{number:02d}",
        function=residuals.__name__,
        residuals=residuals,
        num_residuals=m,
        start=tuple(factor * value for value in start(n)),
        positive_part=function in POSITIVE_PART,
    )
