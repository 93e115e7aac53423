"""The results on the page of the documentation, made from the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.markdown_tables import table

from .record import RECORD

PAGE = "docs/dfo.md"
START, END = "<!-- dfo:start -->", "<!-- dfo:end -->"
PICTURES = {
    "dfo_critical_difference.png": "Critical differences over all cases",
    "dfo_critical_difference_settings.png": "Critical differences in each setting",
    "dfo_data_profiles.png": "Data profiles",
    "dfo_performance_profiles.png": "Performance profiles",
}


def write_page(page: Path, results: Path, *, check: bool) -> int:
    """Write what the record says between the page's markers; with ``check``, only compare."""
    record_file = results / RECORD
    record = json.loads(record_file.read_text()) if record_file.exists() else None
    old = page.read_text()
    before, rest = old.split(START)
    new = f"{before}{START}\n\n" + "\n".join(results_section(record)) + END + rest.split(END)[1]
    if new == old:
        return 0
    if check:
        print(f"{page} is outdated: run `python -m benchmarks.dfo page`")
        return 1
    page.write_text(new)
    return 0


def results_section(record: dict[str, Any] | None) -> list[str]:
    """Return the lines of the section, the last one empty."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    lines = [f"- {sentence}" for sentence in record.get("verdict", [])]
    lines += ["", *ranks_table(record), *solved_table(record)]
    for name, title in PICTURES.items():
        lines += [f"![{title}](assets/{name})", ""]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    cost = sum(record["cpu_seconds"].values())
    origin = f"`{record['command']}`; commit `{record['commit'][:12]}`; {record['machine']}"
    return lines + [f"{origin}; {versions}; {cost:,.0f} s of processor time.", ""]


def ranks_table(record: dict[str, Any]) -> list[str]:
    """Return the average ranks, the best method over all cases first."""
    rankings = record["rankings"]
    order = sorted(rankings["all"]["methods"], key=lambda m: rank_in(rankings["all"], m))
    rows = [[m, *(f"{rank_in(r, m):.2f}" for r in rankings.values())] for m in order]
    rows.append(
        ["critical difference", *(f"{r['critical_difference']:.2f}" for r in rankings.values())]
    )
    rows.append(["Friedman p", *(f"{r['friedman_p']:.1g}" for r in rankings.values())])
    return ["Average ranks, 1 the best:", "", *table(["method", *rankings], rows)]


def rank_in(ranking: dict[str, Any], method: str) -> float:
    """Return a method's average rank."""
    return float(ranking["average_ranks"][ranking["methods"].index(method)])


def solved_table(record: dict[str, Any]) -> list[str]:
    """Return the share of runs that were solved, and the processor time."""
    solved, seconds = record["solved"], record["cpu_seconds"]
    tolerances = list(next(iter(solved.values())))
    rows = [
        [m, *(f"{100 * solved[m][t]:.1f} %" for t in tolerances), f"{seconds[m]:.0f} s"]
        for m in record["methods"]
    ]
    header = ["method", *(f"τ = {t}" for t in tolerances), "processor time"]
    return ["Runs that are solved within the budget:", "", *table(header, rows)]
