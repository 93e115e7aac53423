"""How the step sizes were chosen: on problems outside the suite, one rule for all combinations.

For gradient sensing the rule with the lowest mean log₁₀ gap over the nine combinations, six
held-out problems, four settings and all seeds; for each EvoTorch search the stdev with the lowest
mean over the same problems, settings and seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from structured_layers.files import write_json

from .chosen_steps import StepRule
from .evotorch_searches import SEARCHES
from .gradient_sensing import sensing_methods
from .runner import COLLECTIONS, Job, Outcome, run_jobs
from .scores import SMALLEST_GAP
from .settings import SETTINGS

FIRST, LAST = (0.1, 0.3, 1.0), (1e-2, 1e-3, 1e-4, 1e-5)
STDEV_RATIO = (0.1, 0.3, 1.0, 3.0)
STDEVS = (0.1, 0.3, 1.0, 3.0)
TUNING = "dfo_tuning.json"


def tuning_jobs(seeds: int, simplex_gradients: int) -> list[Job]:
    """Return the whole grid."""
    cases = list(product(COLLECTIONS["held-out"], SETTINGS))
    rules = [StepRule(*numbers) for numbers in product(FIRST, LAST, STDEV_RATIO)]
    size = (seeds, simplex_gradients, "held-out")
    sensing = [
        Job(method, *case, *size, steps=rule)
        for rule in rules
        for method in sensing_methods()
        for case in cases
    ]
    searches = [
        Job(name, *case, *size, steps=stdev)
        for stdev in STDEVS
        for name in SEARCHES
        for case in cases
    ]
    return sensing + searches


def candidate(job: Job) -> tuple[str, Hashable]:
    """Return what is tuned, and the value that this job tries."""
    return (job.method if job.method in SEARCHES else "gradient sensing", job.steps)


def mean_log_gaps(
    jobs: Sequence[Job], outcomes: Sequence[Outcome]
) -> dict[tuple[str, Hashable], float]:
    """Return the mean log₁₀ gap of every candidate; the smaller the better."""
    lowest: dict[tuple[str, str], float] = defaultdict(lambda: np.inf)
    for job, outcome in zip(jobs, outcomes, strict=True):
        ends = [trace.values[-1] for trace in outcome.traces]
        lowest[job.problem, job.setting] = min(lowest[job.problem, job.setting], *ends, np.inf)
    gaps: dict[tuple[str, Hashable], list[float]] = defaultdict(list)
    for job, outcome in zip(jobs, outcomes, strict=True):
        best = lowest[job.problem, job.setting]
        for trace in outcome.traces:
            gap = (trace.values[-1] - best) / (trace.values[0] - best)
            gaps[candidate(job)].append(np.log10(max(gap, SMALLEST_GAP)))
    return {key: float(np.mean(values)) for key, values in gaps.items()}


def tune(
    out: Path, cache: Path, origin: dict[str, Any], *, seeds: int, budget: int, processes: int
) -> None:
    """Try the grid, print each candidate's mean log₁₀ gap and write the table."""
    jobs = tuning_jobs(seeds, budget)
    gaps = mean_log_gaps(jobs, run_jobs(jobs, processes=processes, cache=cache, title="tuning"))
    table: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (name, value), gap in sorted(gaps.items(), key=lambda item: item[1]):
        numbers = vars(value) if isinstance(value, StepRule) else {"stdev_init": value}
        table[name].append({**numbers, "mean_log10_gap": round(gap, 3)})
    for name, rows in table.items():
        print(f"{name}: best {rows[0]}, of {len(rows)}")
    settings = {"seeds": seeds, "simplex_gradients": budget, "candidates": table}
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / TUNING, {**origin, **settings})
