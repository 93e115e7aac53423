"""The tables of the page on the better search, made from its records."""

from __future__ import annotations

import re
from typing import Any

from markdown_tables import table

Record = dict[str, Any]
MISSING = ["Nothing is recorded yet.", ""]
# What the papers reach: the best mean with 17 weights, and with 64 edges; 360 is a round number.
GOALS = {
    ("HalfCheetah-v5", "chromatic"): (17, 4_894),
    ("HalfCheetah-v5", "edges"): (64, 5_436),
    ("Swimmer-v5", "chromatic"): (8, 360),
}


def better_search_parts(records: dict[str, Record]) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers."""
    return {"reached": reached_table(records), "commands": commands(records)}


def reached_table(records: dict[str, Record]) -> list[str]:
    """Return a row for each task, its seeds together."""
    rows = []
    for _, group in sorted(_groups(records).items(), key=lambda item: _order(item[1][0])):
        first = group[0]
        goal = _goal(first)
        above = sum(goal is not None and r["return_mean"] > goal for r in group)
        rows.append(
            (
                first["env"],
                f"{first['weights']} of {first['dense_weights']} edges"
                if first["structure"] == "edges"
                else f"{first['weights']} for {first['dense_weights']} edges",
                f"{first['bits']['paper']:,}",
                f"{_smallest(first['bits']):,}",
                "; ".join(f"{_steps(r):,}" for r in group),
                "; ".join(f"{r['return_mean']:,.0f} ± {r['return_std']:,.0f}" for r in group),
                "none" if goal is None else f"above {goal:,}: {above} of {len(group)}",
            )
        )
    header = (
        "environment", "weights", "bits as the papers count", "least bits", "env steps in all",
        "return, each seed", "goal",
    )  # fmt: skip
    return table(header, rows) if rows else MISSING


def commands(records: dict[str, Record]) -> list[str]:
    """Return the command of each group's first seed, and where the records are from."""
    if not records:
        return MISSING
    lines = ["```sh", *(group[0]["command"] for group in _groups(records).values()), "```", ""]
    origins = sorted({f"commit `{r['commit'][:12]}`, {r['machine']}" for r in records.values()})
    return [*lines, *origins, ""]


def _groups(records: dict[str, Record]) -> dict[str, list[Record]]:
    """Return the records by their names without the seed, seeds in order."""
    groups: dict[str, list[Record]] = {}
    for name, record in sorted(records.items()):
        groups.setdefault(re.sub(r"-seed\d+$", "", name), []).append(record)
    return groups


def _order(record: Record) -> tuple[str, str, int]:
    return record["env"], record["structure"], record["weights"]


def _goal(record: Record) -> int | None:
    """Return the return that a policy of this size should pass."""
    size, goal = GOALS.get((record["env"], record["structure"]), (0, None))
    return goal if record["weights"] <= size else None


def _smallest(bits: dict[str, int | None]) -> int:
    """Return the bits of the shortest of the ways to store a network."""
    return min(number for number in bits.values() if number is not None)


def _steps(record: Record) -> int:
    """Return all steps that a policy took, those of the run that it started at included."""
    return int(record["env_steps"]) + int(record["env_steps_before"])
