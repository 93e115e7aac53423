"""The record of the suite: tables, tests and the verdict, and the curves of the pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from structured_layers.files import write_bytes, write_json

from .chosen_steps import STDEV_INIT, STEP_RULE
from .gradient_sensing import sensing_methods
from .orthogonality import is_power_of_two
from .profiles import RATIOS, data_profile, performance_profiles
from .ranking import Ranking, mean_by_function, rank_methods
from .scores import TOLERANCES, Case, gap_table
from .settings import SETTINGS
from .verdict import compare_directions, rank_kinds, verdict

Record = dict[str, Any]
PROBLEMS: dict[str, Callable[[int], bool]] = {
    "all problems": lambda dimension: True,
    "problems with n a power of two": is_power_of_two,
}
RECORD, CASES, PROFILES = "dfo.json", "dfo_cases.csv", "dfo_profiles.csv"


def make_record(cases: Sequence[Case], simplex_gradients: int) -> Record:
    """Return what the tests say; where it was made is added by the caller."""
    methods = list(cases[0].traces)
    gaps = gap_table(cases, methods)
    overall = rank_methods(gaps, methods)
    functions = [case.function for case in cases]
    record: Record = {
        "methods": methods,
        "seeds": {case.setting: _runs(case) for case in cases},
        "simplex_gradients": simplex_gradients,
        "step_rule": asdict(STEP_RULE),
        "stdev_init": STDEV_INIT,
        "num_cases": len(cases),
        "rankings": {"all": _rounded(overall)},
        "solved": solved_shares(cases, methods),
    }
    for setting in dict.fromkeys(case.setting for case in cases):
        rows = gaps[[case.setting == setting for case in cases]]
        if len(rows) > 1:
            record["rankings"][setting] = _rounded(rank_methods(rows, methods))
    if len(set(functions)) > 1:
        means = mean_by_function(rankdata(gaps, axis=1), functions)
        record["rankings"]["by function"] = _rounded(rank_methods(means, methods))
    record["verdict"] = answers(cases, gaps, methods)
    return record


def answers(cases: Sequence[Case], gaps: np.ndarray, methods: Sequence[str]) -> Record:
    """Return the verdict on all problems, and on those where Hadamard blocks are orthogonal.

    Only where all nine combinations ran, on at least two functions.
    """
    found: Record = {}
    for problems, belongs in PROBLEMS.items():
        chosen = [belongs(case.dimension) for case in cases]
        functions = [case.function for case, is_in in zip(cases, chosen, strict=True) if is_in]
        if len(set(functions)) > 1 and set(sensing_methods()) <= set(methods):
            kinds = rank_kinds(gaps[chosen], methods, functions)
            comparisons = compare_directions(gaps[chosen], rank_methods(gaps[chosen], methods))
            found[problems] = {
                "num_cases": len(functions),
                "kinds": _rounded(kinds),
                "comparisons": [asdict(comparison) for comparison in comparisons],
                "sentences": verdict(comparisons, kinds),
            }
    return found


def _runs(case: Case) -> int:
    return max(len(traces) for traces in case.traces.values())


def _rounded(ranking: Ranking) -> Record:
    content = asdict(ranking)
    content["p_values"] = [[float(f"{p:.4g}") for p in row] for row in ranking.p_values]
    return content


def solved_shares(cases: Sequence[Case], methods: Sequence[str]) -> Record:
    """Return the share of all runs that end within each tolerance, cases counting alike."""
    return {
        method: {
            f"{tolerance:g}": float(
                np.mean([np.isfinite(c.solving_times(method, tolerance)).mean() for c in cases])
            )
            for tolerance in TOLERANCES
        }
        for method in methods
    }


def case_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return a row for each method on each case."""
    return [
        {
            "setting": case.setting,
            "problem": case.problem,
            "function": case.function,
            "n": case.dimension,
            "m": case.num_residuals,
            "method": method,
            "runs": len(traces),
            "start": f"{case.start:.7g}",
            "lowest": f"{case.lowest:.7g}",
            "median_end": f"{np.median([trace.values[-1] for trace in traces]):.7g}",
            "median_gap": f"{case.median_gap(method):.4g}",
            **{
                f"solved_{tolerance:g}": f"{np.isfinite(times).mean():.3g}"
                for tolerance in TOLERANCES
                for times in [case.solving_times(method, tolerance)]
            },
        }
        for case in cases
        for method, traces in case.traces.items()
    ]


def profile_rows(cases: Sequence[Case], simplex_gradients: int) -> list[dict[str, Any]]:
    """Return the curves: a row for each profile, setting, tolerance and place on the axis."""
    methods = list(cases[0].traces)
    axis = np.linspace(0, simplex_gradients, 51)
    rows: list[dict[str, Any]] = []
    for setting in [name for name in SETTINGS if any(c.setting == name for c in cases)]:
        own = [case for case in cases if case.setting == setting]
        for tolerance in TOLERANCES:
            data = {m: data_profile(own, m, tolerance, axis) for m in methods}
            performance = performance_profiles(own, methods, tolerance)
            for kind, places, curves in (
                ("data", axis, data),
                ("performance", RATIOS, performance),
            ):
                for number, place in enumerate(places):
                    shares = {m: f"{curves[m][number]:.4f}" for m in methods}
                    key = {"profile": kind, "setting": setting, "tolerance": f"{tolerance:g}"}
                    rows.append({**key, "place": f"{place:g}", **shares})
    return rows


def write_record(
    folder: Path, cases: Sequence[Case], record: Record, simplex_gradients: int
) -> None:
    """Write the record and its two tables."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / CASES, case_rows(cases))
    write_csv(folder / PROFILES, profile_rows(cases, simplex_gradients))
    write_json(folder / RECORD, record)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows at one blow."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
