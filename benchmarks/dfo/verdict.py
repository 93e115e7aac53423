"""Do structured directions rank above independent ones? The answer of the tests, in words.

Hadamard directions are orthogonal only where n is a power of two, see
:mod:`~benchmarks.dfo.orthogonality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, wilcoxon

from .gradient_sensing import ESTIMATORS
from .ranking import LEVEL, Ranking, mean_by_function, rank_methods

IID = "gaussian"
STRUCTURED = ("orthogonal", "hadamard")


@dataclass(frozen=True)
class Comparison:
    """One kind of structured directions against independent ones, under one estimator.

    Args:
        estimator: its name.
        kind: of directions.
        rank_iid: average rank with independent directions, among all methods.
        rank: the same with this kind.
        nemenyi_p: of the difference, corrected for all pairs of methods.
        wins: cases in which this kind is better.
        losses: cases in which it is worse.
        wilcoxon_p: two-sided, of the signed ranks of log gaps, Holm's correction over all
            comparisons.
    """

    estimator: str
    kind: str
    rank_iid: float
    rank: float
    nemenyi_p: float
    wins: int
    losses: int
    wilcoxon_p: float

    def sentence(self) -> str:
        """Say how the test came out."""
        if self.nemenyi_p >= LEVEL:
            outcome = "not distinguishable from independent ones by Nemenyi's test"
        else:
            outcome = f"ranked {'above' if self.rank < self.rank_iid else 'below'} independent ones"
        return (
            f"{self.estimator}, {self.kind}: {outcome} (average rank {self.rank:.2f} against "
            f"{self.rank_iid:.2f}, p = {self.nemenyi_p:.2g}; better in {self.wins} cases, worse in "
            f"{self.losses}, Wilcoxon p = {self.wilcoxon_p:.2g})."
        )


def compare_directions(gaps: np.ndarray, ranking: Ranking) -> list[Comparison]:
    """Compare each structured kind with independent directions under each estimator.

    Args:
        gaps: (cases, methods), in the order of the ranking's methods.
        ranking: of all methods on these cases.
    """
    pairs = [
        (estimator, kind)
        for estimator in ESTIMATORS
        for kind in STRUCTURED
        if {f"{estimator}-{IID}", f"{estimator}-{kind}"} <= set(ranking.methods)
    ]
    columns = dict(zip(ranking.methods, np.log10(gaps).T, strict=True))
    differences = [columns[f"{e}-{k}"] - columns[f"{e}-{IID}"] for e, k in pairs]
    p_values = holm([wilcoxon(d).pvalue if d.any() else 1.0 for d in differences])
    return [
        Comparison(
            estimator,
            kind,
            ranking.rank_of(f"{estimator}-{IID}"),
            ranking.rank_of(f"{estimator}-{kind}"),
            ranking.p_value(f"{estimator}-{IID}", f"{estimator}-{kind}"),
            int((difference < 0).sum()),
            int((difference > 0).sum()),
            p,
        )
        for (estimator, kind), difference, p in zip(pairs, differences, p_values, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down correction."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(factors * np.array(p_values)[order]), 1)
    return [float(p) for p in corrected]


def rank_kinds(gaps: np.ndarray, methods: Sequence[str], functions: Sequence[str]) -> Ranking:
    """Rank the three kinds of directions alone, with functions as blocks.

    On each case and under each estimator the kinds are ranked 1 to 3; the mean over everything that
    shares a function is one entry of the test.
    """
    kinds = (IID, *STRUCTURED)
    places = [[methods.index(f"{e}-{k}") for k in kinds] for e in ESTIMATORS]
    ranks = np.mean([rankdata(gaps[:, columns], axis=1) for columns in places], axis=0)
    return rank_methods(mean_by_function(ranks, functions), kinds)


def verdict(comparisons: Sequence[Comparison], kinds: Ranking) -> list[str]:
    """Return the answer: one sentence on all estimators together, then one on each pair."""
    lines = []
    for kind in STRUCTURED:
        p, rank = kinds.p_value(IID, kind), kinds.rank_of(kind)
        if p >= LEVEL:
            outcome = "do not differ significantly from"
        else:
            outcome = f"rank {'above' if rank < kinds.rank_of(IID) else 'below'}"
        lines.append(
            f"Over all estimators, with the {kinds.num_blocks} functions as blocks, {kind} "
            f"directions {outcome} independent Gaussian ones: average rank {rank:.2f} against "
            f"{kinds.rank_of(IID):.2f} of three, Nemenyi p = {p:.2g}."
        )
    return lines + [comparison.sentence() for comparison in comparisons]
