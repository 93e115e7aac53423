"""The results on the page of the documentation, made from the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.markdown_tables import table

from .orthogonality import cosines_table, is_power_of_two
from .record import RECORD
from .suite import more_wild_problems

PAGE = "docs/dfo.md"
PICTURES = {
    "dfo_critical_difference.png": "Critical differences over all cases",
    "dfo_critical_difference_settings.png": "Critical differences in each setting",
    "dfo_data_profiles.png": "Data profiles",
    "dfo_performance_profiles.png": "Performance profiles",
}


def markers(section: str) -> tuple[str, str]:
    """Return the lines between which a section of the page is written."""
    return f"<!-- {section}:start -->", f"<!-- {section}:end -->"


def write_page(page: Path, results: Path, *, check: bool) -> int:
    """Write what the record says between the page's markers; with ``check``, only compare."""
    record_file = results / RECORD
    record = json.loads(record_file.read_text()) if record_file.exists() else None
    old = new = page.read_text()
    for section, lines in (("dfo", results_section(record)), ("hadamard", hadamard_section())):
        start, end = markers(section)
        before, rest = new.split(start)
        new = f"{before}{start}\n\n" + "\n".join(lines) + end + rest.split(end)[1]
    if new == old:
        return 0
    if check:
        print(f"{page} is outdated: run `python -m benchmarks.dfo page`")
        return 1
    page.write_text(new)
    return 0


def hadamard_section() -> list[str]:
    """Return how orthogonal Hadamard directions are on the suite, the last line empty."""
    problems = more_wild_problems()
    orthogonal = [p for p in problems if is_power_of_two(p.dimension)]
    sizes = ", ".join(str(n) for n in sorted({p.dimension for p in orthogonal}))
    header, *rows = cosines_table(problems)
    return [
        f"On {len(orthogonal)} of the {len(problems)} problems n is a power of two ({sizes}), and "
        "a block of n Hadamard",
        "directions is orthogonal. The largest |cosine| between two directions of a block:",
        "",
        *table(header, rows),
    ]


def results_section(record: dict[str, Any] | None) -> list[str]:
    """Return the lines of the section, the last one empty."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    lines: list[str] = []
    for problems, answer in record["verdict"].items():
        lines += [f"**{problems.capitalize()}, {answer['num_cases']} cases:**", ""]
        lines += [*(f"- {sentence}" for sentence in answer["sentences"]), ""]
    lines += [*ranks_table(record), *solved_table(record)]
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
