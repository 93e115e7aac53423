"""The tables of the page on evolution in the latent space, made from its records."""

from __future__ import annotations

import statistics
from typing import Any

from latent_evolution_methods import METHODS
from markdown_tables import table

Record = dict[str, Any]
GOALS = ("1000", "2500")
MISSING = ["Nothing is recorded yet.", ""]
STARTS = {
    "mean": "the zoo's mean network",
    "normal": "codes from N(0, 1)",
    "fresh": "fresh weights",
}
# What each search of codes is compared with: weights from the same start, where there is such a
# search, and fresh ones.
PAIRS = {
    "latent-es": ("es-decoded", "es"),
    "latent-ga": ("ga-decoded", "ga"),
    "latent-es-normal": ("es",),
    "latent-ga-normal": ("ga",),
}


def latent_evolution_parts(records: dict[str, Record]) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers."""
    if not records:
        return dict.fromkeys(("reached", "verdict", "zoo", "commands"), MISSING)
    groups = _groups(records)
    return {
        "reached": _reached(groups),
        "verdict": _verdict(groups),
        "zoo": _zoo(groups),
        "commands": _commands(groups),
    }


def _groups(records: dict[str, Record]) -> dict[str, list[Record]]:
    """Return the records by method, in the methods' order, seeds in order."""
    ordered = sorted(records.values(), key=lambda record: int(record["seed"]))
    groups = {name: [r for r in ordered if r["method"] == name] for name in METHODS}
    return {name: group for name, group in groups.items() if group}


def _reached(groups: dict[str, list[Record]]) -> list[str]:
    header = (
        "method", "searches", "starts at", "trained values", "return at the start",
        "env steps to 1,000", "to 2,500", "return at the end", "minutes",
    )  # fmt: skip
    rows = [_row(name, group) for name, group in groups.items()]
    return [*table(header, rows), "![Learning curves](assets/latent_evolution.png)", ""]


def _row(name: str, group: list[Record]) -> tuple[str, ...]:
    first = group[0]
    return (
        f"`{name}`",
        "codes" if first["space"] == "latent" else "weights",
        STARTS[first["start"]],
        f"{first['trained_values']}",
        "; ".join(f"{r['return_at_start']:,.0f}" for r in group),
        *("; ".join(_steps(r, goal) for r in group) for goal in GOALS),
        "; ".join(f"{r['return_mean']:,.0f} ± {r['return_std']:,.0f}" for r in group),
        f"{statistics.mean(r['seconds'] for r in group) / 60:.1f}",
    )


def steps_table(records: dict[str, Record]) -> list[str]:
    """Return the table of the README: each method's steps to the goals, every seed."""
    header = ("search", "of", "starts at", "env steps to 1,000, each seed", "to 2,500, each seed")
    rows = [
        (
            first["algorithm"],
            "codes" if first["space"] == "latent" else "weights",
            STARTS[first["start"]],
            *("; ".join(_steps(record, goal) for record in group) for goal in GOALS),
        )
        for group in _groups(records).values()
        for first in group[:1]
    ]
    return table(header, rows) if rows else MISSING


def _steps(record: Record, goal: str) -> str:
    steps = record["steps_to"][goal]
    return f"> {record['env_steps'] / 1e3:,.0f}k" if steps is None else _amount(steps)


def _median(group: list[Record], goal: str) -> float:
    """Return the median steps to a goal, infinite if half of the seeds did not reach it."""
    found = [record["steps_to"][goal] for record in group]
    return statistics.median(float("inf") if steps is None else steps for steps in found)


def _verdict(groups: dict[str, list[Record]]) -> list[str]:
    """Say for each search of codes whether it needed fewer steps than a search of weights."""
    lines = []
    for name, others in PAIRS.items():
        for other in others:
            if name in groups and other in groups:
                said = " and ".join(_compared(groups[name], groups[other], goal) for goal in GOALS)
                lines.append(f"- `{name}` against `{other}`: {said}.")
    return [*lines, ""] if lines else MISSING


def _compared(group: list[Record], other: list[Record], goal: str) -> str:
    ours, theirs, level = _median(group, goal), _median(other, goal), f"{int(goal):,}"
    if ours == theirs == float("inf"):
        return f"neither reached {level}"
    if ours == theirs == 0:
        return f"both are above {level} at the start"
    if ours == 0:  # its start did that, not its search
        return f"above {level} at the start ({_amount(theirs)} for the other)"
    if theirs == 0:
        return f"the other is above {level} at the start ({_amount(ours)} for this one)"
    word = "the same" if ours == theirs else "fewer" if ours < theirs else "more"
    return f"**{word}** steps to {level} ({_amount(ours)} against {_amount(theirs)})"


def _amount(steps: float) -> str:
    if steps == 0:
        return "at the start"
    return "not reached" if steps == float("inf") else f"{steps / 1e3:,.0f}k"


def _zoo(groups: dict[str, list[Record]]) -> list[str]:
    zoo = next(iter(groups.values()))[0]["zoo"]
    return [
        f"The zoo has {zoo['policies']} policies of {zoo['runs']} runs, which took at least "
        f"**{zoo['env_steps'] / 1e6:,.0f} million** environment steps. None of them is counted in "
        "the table.",
        "",
    ]


def _commands(groups: dict[str, list[Record]]) -> list[str]:
    every = [record for group in groups.values() for record in group]
    origins = sorted({f"commit `{r['commit'][:12]}`, {r['machine']}" for r in every})
    return ["```sh", *(group[0]["command"] for group in groups.values()), "```", "", *origins, ""]
