"""Nelder–Mead and BFGS with finite differences, SciPy's, as references.

They work on x itself, as they do for their users, with their own default steps. Where one stops
before the budget is used, as BFGS does once noise misleads its line search, it starts again there.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from scipy.optimize import minimize

from .objective import Objective
from .settings import NOISE

SCIPY_METHODS = {"nelder-mead": "Nelder-Mead", "bfgs": "BFGS"}


class _BudgetUsed(Exception):
    """Ends a run inside SciPy."""


def run_scipy(name: str, objective: Objective, budget: int) -> None:
    """Minimise until the budget is used, or a start leads nowhere and would do so again."""
    start = objective.problem.start_point().numpy()
    units = objective.problem.units().numpy()

    def seen(x: np.ndarray) -> float:
        if objective.num_evaluations >= budget:
            raise _BudgetUsed
        return float(objective(torch.as_tensor((x - start) / units)[None, None]))

    options = (
        {"xatol": 0.0, "fatol": 0.0, "maxiter": budget, "maxfev": budget}
        if name == "nelder-mead"
        else {"gtol": 0.0, "maxiter": budget, "eps": difference_step(objective.setting) * units}
    )
    point, hopeful = start, True
    # A line search may step so far that the model overflows; the value then is LARGEST.
    with np.errstate(all="ignore"), suppress(_BudgetUsed):
        while hopeful:
            end = minimize(seen, point, method=SCIPY_METHODS[name], options=options).x
            hopeful = objective.setting == "stochastic" or bool(np.any(end != point))
            point = end


def difference_step(setting: str) -> float:
    """Return the root of the relative noise, which balances it with the curvature."""
    noisy = setting in ("deterministic-noise", "stochastic")
    return float(np.sqrt(NOISE if noisy else np.finfo(float).eps))
