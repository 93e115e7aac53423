"""From traces to numbers: how much of the possible decrease a run reached, and when.

Reference:
    Moré and Wild, SIAM J. Optim. 20 (2009), equation (2.2): a run has solved a problem to the
    tolerance τ at the first point with f(x₀) − f(x) ≥ (1 − τ)(f(x₀) − f_L).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .objective import Trace

TOLERANCES = (1e-1, 1e-3, 1e-5)
SMALLEST_GAP = 1e-7  # below, gaps count as equal: a hundredth of the smallest tolerance


@dataclass(frozen=True)
class Case:
    """A problem in a setting, with the traces of every method.

    Args:
        setting: a name among ``SETTINGS``.
        problem: its name.
        function: name of its function.
        dimension: n.
        num_residuals: m.
        traces: by method.
    """

    setting: str
    problem: str
    function: str
    dimension: int
    num_residuals: int
    traces: dict[str, list[Trace]]

    @property
    def start(self) -> float:
        """f(x₀)."""
        return next(iter(self.traces.values()))[0].values[0]

    @property
    def lowest(self) -> float:
        """f_L, the lowest value that any run of any method found."""
        return min(t.values[-1] for traces in self.traces.values() for t in traces)

    def median_gap(self, method: str) -> float:
        """Return the median over the runs of (f − f_L)/(f(x₀) − f_L) at the end of the budget."""
        ends = np.array([trace.values[-1] for trace in self.traces[method]])
        return float(np.median(self._gaps(ends)))

    def solving_times(self, method: str, tolerance: float) -> np.ndarray:
        """Return the evaluations that each run needed for a tolerance, inf if it failed."""
        return np.array([self._solving_time(t, tolerance) for t in self.traces[method]])

    def _solving_time(self, trace: Trace, tolerance: float) -> float:
        solved = np.flatnonzero(self._gaps(np.array(trace.values)) <= tolerance)
        # the start, at 0 evaluations, solves nothing unless nobody left it
        return max(trace.evaluations[solved[0]], 1) if len(solved) else np.inf

    def _gaps(self, values: np.ndarray) -> np.ndarray:
        possible = self.start - self.lowest
        if possible <= 0:
            return np.zeros_like(values)
        return np.maximum((values - self.lowest) / possible, SMALLEST_GAP)


def gap_table(cases: Sequence[Case], methods: Sequence[str]) -> np.ndarray:
    """Return the median gaps: (cases, methods)."""
    return np.array([[case.median_gap(method) for method in methods] for case in cases])
