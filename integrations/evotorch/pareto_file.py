"""``pareto.csv`` of a run: the structures that no other one beats in both return and cost."""

from __future__ import annotations

from pathlib import Path

from structured_layers.algorithms import ParetoArchive
from structured_layers.files import write_bytes

NAME = "pareto.csv"


def write_pareto(folder: Path, archive: ParetoArchive) -> None:
    """Write an archive in order of its costs: when, what the search saw, what it costs."""
    lines = [f"generation,return,{archive.name}"]
    rows = zip(
        archive.generations.tolist(), archive.returns.tolist(), archive.costs.tolist(), strict=True
    )
    lines += [f"{generation},{value},{cost:.12g}" for generation, value, cost in rows]
    write_bytes(folder / NAME, ("\n".join(lines) + "\n").encode())
