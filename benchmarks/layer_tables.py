"""The tables of the layers' pages, made from the records of the layers' benchmarks."""

from __future__ import annotations

import statistics
from typing import Any

from markdown_tables import table

Record = dict[str, Any]

NETWORKS = {
    "dense": "dense",
    "colors-random": "17 colors, random, one scale a layer",
    "colors-learned": "17 colors, learned",
    "colors-clustered": "17 colors, a trained dense network clustered and trained once more",
    "edges-random": "500 edges, random",
    "edges-learned": "500 edges, learned",
    "toeplitz": "Toeplitz",
    "circulant": "circulant",
    "displacement-rank-1": "displacement rank 1",
    "displacement-rank-2": "displacement rank 2",
    "displacement-rank-4": "displacement rank 4",
}


def digits_table(record: Record | None) -> list[str]:
    """Return the accuracy of each network on the digits, mean and spread over the seeds."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    rows = [
        (
            NETWORKS.get(name, name),
            f"{result['weights']:,}",
            f"{100 * result['mean']:.1f} ± {100 * statistics.stdev(result['accuracies']):.1f} %",
        )
        for name, result in sorted(record["results"].items(), key=lambda item: _place(item[0]))
    ]
    header = ("network", "weights", f"accuracy, {len(record['seeds'])} seeds")
    return [*table(header, rows), f"`{record['command']}`", ""]


def limits_table(record: Record | None) -> list[str]:
    """Return every limit that the layers are held to, with the worst case measured."""
    if record is None:
        return ["Nothing is recorded yet.", ""]
    rows = [
        (
            limit["wanted"],
            f"{limit['measured']:.3f}",
            limit["where"],
            "yes" if limit["passed"] else "**no**",
        )
        for limit in record["limits"]
    ]
    header = ("limit, relative to nn.Linear if nothing else is said", "worst case", "where", "kept")
    return [*table(header, rows), f"`{record['command']}`, {record['device']}", ""]


def _place(name: str) -> int:
    order = list(NETWORKS)
    return order.index(name) if name in NETWORKS else len(order)
