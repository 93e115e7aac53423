"""Average ranks of methods over cases, with the tests of Friedman and Nemenyi.

Reference:
    Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy.stats import friedmanchisquare, rankdata, studentized_range

LEVEL = 0.05


@dataclass(frozen=True)
class Ranking:
    """How methods rank over a set of blocks, 1 the best.

    Args:
        methods: their names.
        average_ranks: one for each method.
        num_blocks: cases, or functions, that were ranked.
        friedman_statistic: χ², large if the methods differ.
        friedman_p: chance of as large a statistic if no method differed from another.
        critical_difference: Nemenyi's at ``LEVEL``: average ranks this far apart differ.
        p_values: Nemenyi's, for each pair of methods.
    """

    methods: tuple[str, ...]
    average_ranks: tuple[float, ...]
    num_blocks: int
    friedman_statistic: float
    friedman_p: float
    critical_difference: float
    p_values: tuple[tuple[float, ...], ...]

    def rank_of(self, method: str) -> float:
        """Return a method's average rank."""
        return self.average_ranks[self.methods.index(method)]

    def p_value(self, one: str, other: str) -> float:
        """Return Nemenyi's p for two methods."""
        return self.p_values[self.methods.index(one)][self.methods.index(other)]


def rank_methods(gaps: np.ndarray, methods: Sequence[str]) -> Ranking:
    """Rank methods on each block and test whether they differ.

    Args:
        gaps: (blocks, methods), the smaller the better; ties share their ranks.
        methods: names of the columns, at least three.
    """
    ranks = rankdata(gaps, axis=1)
    blocks, count = ranks.shape
    statistic, p = friedmanchisquare(*gaps.T) if np.ptp(ranks) else (0.0, 1.0)
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(gaps, columns=list(methods)))
    return Ranking(
        tuple(methods),
        tuple(float(rank) for rank in ranks.mean(axis=0)),
        blocks,
        float(statistic),
        float(p),
        critical_difference(count, blocks),
        tuple(tuple(float(value) for value in row) for row in nemenyi.to_numpy()),
    )


def critical_difference(num_methods: int, num_blocks: int) -> float:
    """Return q √(k (k + 1)/(6 N)), q the studentised range at ``LEVEL`` over √2."""
    q = studentized_range.ppf(1 - LEVEL, num_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(num_methods * (num_methods + 1) / (6 * num_blocks)))


def mean_by_function(ranks: np.ndarray, functions: Sequence[str]) -> np.ndarray:
    """Return the mean rank of each method on each function: (functions, methods).

    Problems of one function, and one problem in several settings, are no independent blocks;
    functions are more nearly so.
    """
    of = np.array(functions)
    return np.stack([ranks[of == name].mean(axis=0) for name in dict.fromkeys(functions)])
