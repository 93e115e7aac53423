"""The tables of the page that compares searches, made from their records."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterable
from typing import Any

from markdown_tables import table
from search_records import COMPARED

Record = dict[str, Any]
GOALS = {("Swimmer-v5", "ars-v1"): 325, ("HalfCheetah-v5", "ars-v2-t"): 3_430}
MISSING = ["Nothing is recorded yet.", ""]


def search_parts(records: dict[str, Record], settings: Record | None) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers."""
    groups = by_preset(records.values())
    structured = {key: group for key, group in groups.items() if not key[1].startswith("ars-")}
    return {
        "ars": ars_table({key: group for key, group in groups.items() if key not in structured}),
        "ars-settings": settings_table(settings),
        "compared": structured_table({k: g for k, g in structured.items() if k[0] in COMPARED}),
        "others": structured_table({k: g for k, g in structured.items() if k[0] not in COMPARED}),
        "origin": origins(records.values()),
    }


def by_preset(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """Group records by environment and preset, seeds in order."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["env"], preset(r), r["seed"])):
        groups.setdefault((record["env"], preset(record)), []).append(record)
    return groups


def preset(record: Record) -> str:
    """Return the preset that a record's command names."""
    words = shlex.split(record["command"])
    return words[words.index("--preset") + 1]


def ars_table(groups: dict[tuple[str, str], list[Record]]) -> list[str]:
    """Return a row for each preset of ARS, with the median over the seeds and its goal."""
    rows = []
    for key, group in groups.items():
        median = statistics.median(r["return_mean"] for r in group)
        goal = GOALS.get(key)
        verdict = "reached" if goal is not None and median >= goal else "not reached"
        rows.append(
            (
                *key,
                steps(group),
                returns(group),
                f"{median:,.0f}",
                "none" if goal is None else f"{goal:,}: {verdict}",
            )
        )
    header = ("environment", "preset", "env steps", "return, each seed", "median", "goal")
    return table(header, rows) if rows else MISSING


def structured_table(groups: dict[tuple[str, str], list[Record]]) -> list[str]:
    """Return a row for each preset of structured evolution, with the mean over the seeds."""
    rows = []
    for key, group in groups.items():
        means = [r["return_mean"] for r in group]
        first = group[0]
        spread = f" ± {statistics.stdev(means):,.1f}" if len(means) > 1 else ", one seed"
        rows.append(
            (
                *key,
                f"{first['structure']}, {'+'.join(map(str, first['hidden']))}",
                f"{first['weights'] + first['biases']:,}",
                steps(group),
                returns(group),
                f"{statistics.mean(means):,.1f}{spread}",
            )
        )
    header = (
        "environment", "preset", "network", "parameters", "env steps", "return, each seed",
        "mean over seeds",
    )  # fmt: skip
    return table(header, rows) if rows else MISSING


def steps(group: list[Record]) -> str:
    """Return the environment steps, a range where the seeds differ."""
    numbers = sorted({r["env_steps"] for r in group})
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def returns(group: list[Record]) -> str:
    """Return what each seed reached."""
    return "; ".join(f"{r['return_mean']:,.1f} ± {r['return_std']:,.1f}" for r in group)


def settings_table(record: Record | None) -> list[str]:
    """Return how the settings of ARS V1 on Swimmer compare."""
    if record is None:
        return MISSING
    rows = [
        (
            str(row["num_directions"]),
            f"{row['step_size']:g}",
            f"{row['noise']:g}",
            "; ".join(f"{value:,.0f}" for value in sorted(row["returns"])),
            f"{row['median']:,.0f}",
        )
        for row in record["rows"]
    ]
    seeds = record["seeds"]
    return [
        f"Returns after {record['episodes']} training episodes, seeds {seeds[0]} to {seeds[-1]}:",
        "",
        *table(("N", "α", "ν", "returns", "median"), rows),
        f"`{record['command']}`, commit `{record['commit'][:12]}`, {record['machine']}",
        "",
    ]


def origins(records: Iterable[Record]) -> list[str]:
    """Say from which commits and machines the records are."""
    records = list(records)
    if not records:
        return MISSING
    commits = sorted({f"`{r['commit'][:12]}`" for r in records})
    machines = sorted({r["machine"] for r in records})
    return [f"Commits {', '.join(commits)}; {'; '.join(machines)}.", ""]
