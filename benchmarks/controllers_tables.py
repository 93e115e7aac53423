"""The tables of the page on controllers, made from the record of their benchmark."""

from __future__ import annotations

import math
import statistics
from typing import Any

from markdown_tables import table
from mask_convergence import CONVERGED

Record = dict[str, Any]
GOALS = {"regularized evolution": 0.02, "policy gradient, REINFORCE": 0.12} | {
    "policy gradient, PPO": 0.12
}
NAMES = {
    "coloring": "hidden coloring, 60 edges, 5 colors",
    "edges": "hidden set of 16 of 80 edges",
    "mask": "hidden mask of 16 edges",
}


def controllers_parts(record: Record | None, masks: Record | None) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers."""
    record = record or {}
    return {"share": _share(record), "hidden": _hidden(record), "masks": _masks(masks)}


def _masks(record: Record | None) -> list[str]:
    """Return how far each seed agreed on one mask, and the picture."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    rows = []
    for seed, found in record["seeds"].items():
        means = [statistics.mean(edges) for edges in found["certainty"]]
        above = [s for s, mean in zip(found["steps"], means, strict=True) if mean >= CONVERGED]
        rows.append(
            (
                seed,
                f"{means[-1]:.2f}",
                f"{above[0]:,}" if above else "not reached",
                f"{sum(found['mask'])} of {len(found['mask'])}",
            )
        )
    header = ("seed", "mean of 2\\|p − ½\\| at the end", f"first above {CONVERGED}, env steps")
    return [
        *table((*header, "edges of the best mask"), rows),
        "![How sure the policy gradient is of every edge](assets/mask_convergence.png)",
        "",
        *_origin(record),
    ]


def _share(record: Record) -> list[str]:
    if "share" not in record:
        return ["Nothing is recorded yet.", "", *_pyglove(record)]
    rows = [
        (
            name,
            f"{found['propose']:.3f} s",
            f"{found['observe']:.3f} s",
            f"{found['generation']:.1f} s",
            f"{100 * found['share']:.2f} %",
            _goal(name, found["share"]),
        )
        for name, found in record["share"]["found"].items()
    ]
    header = ("controller", "propose", "observe", "generation", "share", "goal")
    return [*table(header, rows), *_origin(record["share"]), *_pyglove(record)]


def _goal(name: str, share: float) -> str:
    if name not in GOALS:
        return ""
    reached = "reached" if share <= GOALS[name] else "not reached"
    return f"{100 * GOALS[name]:.0f} %: {reached}"


def _pyglove(record: Record) -> list[str]:
    if "pyglove" not in record:
        return []
    found = record["pyglove"]["found"]
    rates = found["candidates_per_second"]
    return [
        "Regularized evolution on the same space, alone, with a queue of "
        f"{found['population_size']} and tournaments of {found['tournament_size']}: "
        f"{rates['here']:,.0f} candidates/s here, {rates['pyglove']:,.1f} candidates/s in PyGlove.",
        "",
        *_origin(record["pyglove"]),
    ]


def _hidden(record: Record) -> list[str]:
    parts = [name for name in NAMES if name in record]
    if not parts:
        return ["Nothing is recorded yet.", ""]
    rows = [
        _row(name, controller, found, record[name]["found"]["controllers"]["random search"])
        for name in parts
        for controller, found in sorted(record[name]["found"]["controllers"].items())
    ]
    header = (
        *("problem", "controller", "best structure agrees in", "above random search"),
        *("optimum proposed", "after evaluations, median"),
    )
    return [*table(header, rows), *_origin(record[parts[-1]])]


def _row(problem: str, controller: str, found: Record, random: Record) -> tuple[str, ...]:
    best, first = found["best"], [n for n in found["first_found"] if n is not None]
    spread = statistics.stdev(best)
    margin = ""
    if controller != "random search":
        errors = math.hypot(spread, statistics.stdev(random["best"])) / math.sqrt(len(best))
        gain = statistics.mean(best) - statistics.mean(random["best"])
        margin = f"{gain / errors:.1f} standard errors" if errors else "no spread"
    return (
        NAMES[problem],
        controller,
        f"{100 * statistics.mean(best):.1f} ± {100 * spread:.1f} %",
        margin,
        f"{len(first)} of {len(best)} seeds",
        f"{statistics.median(first):,.0f}" if first else "",
    )


def _origin(part: Record) -> list[str]:
    return [f"`{part['command']}`, {part['machine']}", ""]
