"""Data profiles and performance profiles.

With several runs of a method on a case, each run counts as its share: the profile is the mean over
cases of the share of runs that are solved.

Reference:
    Moré and Wild, SIAM J. Optim. 20 (2009), equations (2.1) and (2.8); Dolan and Moré, Math.
    Program. 91 (2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .scores import Case

RATIOS = 2.0 ** np.arange(0, 8.01, 0.25)


def data_profile(
    cases: Sequence[Case], method: str, tolerance: float, simplex_gradients: np.ndarray
) -> np.ndarray:
    """Return the share of cases that are solved within κ (n + 1) evaluations, for each κ."""
    shares = [
        solved_within(
            case.solving_times(method, tolerance) / (case.dimension + 1), simplex_gradients
        )
        for case in cases
    ]
    return np.mean(shares, axis=0)


def performance_profiles(
    cases: Sequence[Case], methods: Sequence[str], tolerance: float, ratios: np.ndarray = RATIOS
) -> dict[str, np.ndarray]:
    """Return the share of cases that are solved within α times the best method's evaluations.

    The best method of a case is the one with the lowest median over its runs. Where no median run
    of any method solves the case, nobody is the best and the case counts as unsolved for all.
    """
    profiles = {method: np.zeros(len(ratios)) for method in methods}
    for case in cases:
        times = {method: case.solving_times(method, tolerance) for method in methods}
        best = min(float(np.median(t)) for t in times.values())
        if np.isfinite(best):
            for method in methods:
                profiles[method] += solved_within(times[method] / best, ratios) / len(cases)
    return profiles


def solved_within(times: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the share of the times that keep each limit."""
    return (times[:, None] <= limits).mean(axis=0)
