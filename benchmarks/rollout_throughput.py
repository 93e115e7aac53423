"""Environment steps per second of the evaluator against the physics and against peers.

    python benchmarks/rollout_throughput.py
    python benchmarks/rollout_throughput.py --only Hopper envpool --rounds 1

A hidden layer of 32 tanh units, 128 candidates, 2 actors. Rounds alternate between the evaluator
and its limit: two processes that replay the same candidates' controls from the same start states
through nothing but ``mj_step``, and ``mj_rnePostConstraint`` where the task needs the forces of
contacts. Peers run policies of the same shape; the search is a whole one, with its controller,
update, normaliser, logging and checkpoints. Writes benchmarks/results/rollout_throughput.json; with
--only or --steps only what --out names.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import throughput_tasks
from machine import PACKAGES, RESULTS, describe_origin
from rollout_tables import goals_table
from throughput_evaluator import Record, measure_early_ends, measure_memory, measure_row
from throughput_peers import measure_ars, measure_cart_pole, measure_envpool, measure_gymne
from throughput_search import measure_search
from throughput_tasks import ROWS

from structured_layers.errors import StructuredLayersError
from structured_layers.files import write_json

OTHERS = ("falling", "gymne", "ars", "envpool", "cartpole", "memory", "search")
CHEETAH = ROWS[0].name


def main(args: Sequence[str] | None = None) -> None:
    """Measure, print a table and write the record."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description="Throughput against the limit and the peers.")
    parser.add_argument("--only", nargs="+", choices=[*names, *OTHERS], metavar="ROW",
                        help=f"of {', '.join([*names, *OTHERS])}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of an episode at most, to try the script out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(args)
    if options.steps is not None:
        throughput_tasks.SHORTENED = options.steps
    wanted = options.only or [*names, *OTHERS]
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    os.environ.setdefault("RAY_worker_niceness", "0")  # as the processes that replay
    packages = (*PACKAGES, "stable-baselines3", "sb3-contrib", "envpool")
    origin = describe_origin(
        "python benchmarks/rollout_throughput.py", tuple(p for p in packages if _installed(p))
    )
    start = time.perf_counter()
    rows = measure_rows(wanted, options.rounds)
    search = measure_search(options.rounds) if "search" in wanted else {}
    record = {**origin, **with_peers(search, rows), "rows": rows}
    record["minutes"] = round((time.perf_counter() - start) / 60, 1)
    print("\n".join(["", *goals_table(rows)]))
    is_whole = options.only is None and options.steps is None
    out = options.out or (RESULTS / "rollout_throughput.json" if is_whole else None)
    if out is not None:
        write_json(out, record)


def measure_rows(wanted: Sequence[str], rounds: int) -> list[Record]:
    """Measure the wanted rows; one that cannot be measured here is left out, and said to be."""
    rows: list[Record] = []

    def attempt(name: str, measure: Callable[..., Record], *args: Any) -> None:
        try:
            rows.append(measure(*args))
        except (ImportError, StructuredLayersError) as error:
            warnings.warn(f"{name} is not measured: {error}", stacklevel=2)

    for row in ROWS:
        if row.name in wanted or (row.name == CHEETAH and {"gymne", "ars"} & set(wanted)):
            attempt(row.name, measure_row, row, rounds)
    cheetah = next((row["ours"] for row in rows if row["row"] == CHEETAH), [])
    for name, measure, arguments in (
        ("falling", measure_early_ends, (rounds,)),
        ("gymne", measure_gymne, (cheetah, rounds)),
        ("ars", measure_ars, (cheetah, rounds)),
        ("envpool", measure_envpool, (rounds,)),
        ("cartpole", measure_cart_pole, (rounds,)),
        ("memory", measure_memory, ()),
    ):
        if name in wanted:
            attempt(name, measure, *arguments)
    return rows


def with_peers(search: Record, rows: list[Record]) -> Record:
    """Compare the search with those of EvoTorch and sb3-contrib too."""
    if not search:
        return {}
    rates = search["steps_per_second"]
    for peer in ("EvoTorch GymNE", "sb3-contrib ARS"):
        found = [r for r in rows if r["row"] == CHEETAH and r["against"].startswith(peer)]
        if not found:
            continue
        rates[peer] = found[0]["other"]
        median = statistics.median(rates[peer])
        search["ratios"][peer] = statistics.median(rates["search"]) / median
        # no search can be faster than the physics that it simulates
        limits = search.setdefault("limits", {})
        limits[peer] = statistics.median(rates["raw mj_step"]) / median
    return search


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package.replace("-", "_")) is not None


if __name__ == "__main__":
    main()
