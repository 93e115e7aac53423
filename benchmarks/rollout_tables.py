"""The table of the evaluator's goals, from the record of ``rollout_throughput.py``."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from markdown_tables import table

Row = dict[str, Any]


def goals_section(record: dict[str, Any]) -> list[str]:
    """Return the table with what its numbers mean; nothing for a record without goals."""
    if "rows" not in record:
        return []
    rounds = len(record["rows"][0]["ours"])
    return [
        f"A hidden layer of 32 tanh units, 128 candidates, 2 actors; medians over {rounds} rounds.",
        "Bare mj_step replays the same controls from the same start states in two processes, with",
        "`mj_rnePostConstraint` where the task needs the forces of contacts (Ant with contact",
        "forces, Humanoid). Robots that fall stay in their episode (`terminate_when_unhealthy`",
        "is false), but in the row that ends early: its ratio is the time of a generation by that",
        "of its physics steps alone. So Walker2d and Hopper (500 steps), Ant (200) and Humanoid",
        "(100) are measured lying, which has more contacts than walking: a step of physics takes",
        "longer, and what the evaluation adds to it weighs less.",
        "",
        *goals_table(record["rows"]),
    ]


def goals_table(rows: Sequence[Row]) -> list[str]:
    """Return what was measured beside what was to be reached."""
    header = ("what", "against", "env steps/s", "its env steps/s", "ratio", "goal", "reached")
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    is_lower_better = row.get("lower_is_better", False)
    value, goal = row["value"], row["goal"]
    reached = value <= goal if is_lower_better else value >= goal
    sign, unit = "≤" if is_lower_better else "≥", " times" if row.get("times") else ""
    sides = ("ours", "other") if "other" in row else ()
    rates = [f"{statistics.median(row[side]):,.0f}" for side in sides] or ["", ""]
    return (
        row["row"],
        row["against"],
        *rates,
        f"{value:.2f}{unit}",
        f"{sign} {goal:.2f}{unit}",
        "yes" if reached else "**no**",
    )
