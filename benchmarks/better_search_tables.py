"""The tables of the page on the better search, made from its records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from better_search import COMPARED, PPO, RUNS, SPARSE
from markdown_tables import table

Record = dict[str, Any]
MISSING = ["Nothing is recorded yet.", ""]
# What the papers reach on HalfCheetah: the best mean with 17 weights, and with 64 edges.
GOALS = {"chromatic": (17, 4_894), "edges": (64, 5_436)}


def better_search_parts(
    records: dict[str, Record], models: dict[str, Record]
) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers.

    Args:
        records: of the search, by their names.
        models: those of Stable-Baselines3, by their names.
    """
    return {
        "starts": _starts(models),
        "reached": reached_table(records),
        "compared": _table(records, COMPARED),
        "commands": commands(records),
    }


def _starts(models: dict[str, Record]) -> list[str]:
    """Return a row for each actor of PPO that a search started at."""
    rows = [
        (
            f"{record['weights']} weights, seed {record['seed']}",
            f"{record['env_steps'] / 1e6:.1f}M",
            f"{record['return_mean']:,.0f} ± {record['return_std']:,.0f}",
            f"{record['return_min']:,.0f}",
        )
        for name, record in sorted(models.items())
        if name.rpartition("-seed")[0] in (PPO, SPARSE)
    ]
    header = ("actor of PPO", "env steps", "return", "worst episode")
    return table(header, rows) if rows else MISSING


def reached_table(records: dict[str, Record]) -> list[str]:
    """Return a row for each task, its seeds together."""
    return _table(records, RUNS)


def _table(records: dict[str, Record], names: Iterable[str]) -> list[str]:
    groups = [g for name, g in _groups(records).items() if name.partition("-")[2] in names]
    rows = [_row(group) for group in sorted(groups, key=lambda group: _order(group[0]))]
    header = (
        "weights", "all of them learned by", "then", "least bits", "env steps in all",
        "return, each seed", "papers' best",
    )  # fmt: skip
    return table(header, rows) if rows else MISSING


def _row(group: list[Record]) -> tuple[str, ...]:
    first = group[0]
    goal = _goal(first)
    above = sum(goal is not None and r["return_mean"] > goal for r in group)
    join = "of" if first["structure"] == "edges" else "for"
    return (
        f"{first['weights']} {join} {first['dense_weights']} edges",
        "PPO" if "--output-bias" in first["command"] else "evolution",  # as PPO's actors have
        _how(first["command"]),
        f"{_smallest(first['bits']):,}",
        "; ".join(f"{_steps(r) / 1e6:.1f}M" for r in group),
        "; ".join(f"{r['return_mean']:,.0f} ± {r['return_std']:,.0f}" for r in group),
        "none" if goal is None else f"{goal:,}: passed by {above} of {len(group)}",
    )


def _how(command: str) -> str:
    """Return how the few weights were searched, of the command's words."""
    words = command.split()
    options = dict(zip(words, [*words[1:], ""], strict=True))
    if options.get("--controller") == "latent":
        how = "latent coloring"
    elif options.get("--num-mutations"):
        how = "recolored by local search"
    else:
        how = "coloring held" if "--num-colors" in options else "edges held"
    if options.get("--optimizer") == "cmaes":
        how += ", CMA-ES"
    return how + (f", σ {options['--stdev']}" if "--stdev" in options else "")


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


def _order(record: Record) -> tuple[str, int, str]:
    return record["structure"], record["weights"], record["command"]


def _goal(record: Record) -> int | None:
    """Return the return that a policy of this size should pass."""
    size, goal = GOALS.get(record["structure"], (0, None))
    return goal if record["weights"] <= size else None


def _smallest(bits: dict[str, int | None]) -> int:
    """Return the bits of the shortest of the ways to store a network."""
    return min(number for number in bits.values() if number is not None)


def _steps(record: Record) -> int:
    """Return all steps that a policy took, those of the run that it started at included."""
    return int(record["env_steps"]) + int(record["env_steps_before"])
