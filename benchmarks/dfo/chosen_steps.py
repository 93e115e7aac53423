"""The step sizes of the benchmark, as ``python -m benchmarks.dfo tune`` ranked them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepRule:
    """How far the steps of gradient sensing go, in units of the start.

    Args:
        first: η at the beginning of the budget.
        last: η at its end.
        stdev_ratio: ρ = σ/η.
    """

    first: float
    last: float
    stdev_ratio: float

    def step_size(self, progress: float) -> float:
        """Return η once this share of the budget is used."""
        return self.first * (self.last / self.first) ** progress


STEP_RULE = StepRule(first=0.3, last=1e-4, stdev_ratio=1.0)
STDEV_INIT = {"cma-es": 0.3, "pgpe": 0.3, "snes": 0.1}  # of the EvoTorch searches
