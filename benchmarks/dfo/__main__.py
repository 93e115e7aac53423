"""``python -m benchmarks.dfo``: run the suite, tune, or draw and write what was recorded."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import RESULTS, ROOT, describe_origin
from structured_layers.errors import StructuredLayersError

from .methods import METHODS, chosen_steps
from .objective import SIMPLEX_GRADIENTS
from .page import PAGE, write_page
from .pictures import draw_all
from .record import make_record, write_record
from .runner import COLLECTIONS, Job, Outcome, run_jobs
from .scores import Case
from .settings import SETTINGS
from .tuning import tune

PACKAGES = ("torch", "numpy", "scipy", "scikit-posthocs", "evotorch", "structured-layers")
SEEDS = 20
SUITE = COLLECTIONS["more-wild"]


def main(args: Sequence[str] | None = None) -> int:
    """Do what the command line asks for and return the exit code."""
    options = parse(args)
    command = shlex.join(
        ["python", "-m", "benchmarks.dfo", *(sys.argv[1:] if args is None else args)]
    )
    if options.action == "page":
        return write_page(ROOT / PAGE, options.out or RESULTS, check=options.check)
    if options.action == "tune":
        origin = describe_origin(command, PACKAGES)
        tune(
            options.out or RESULTS,
            options.cache,
            origin,
            seeds=options.seeds,
            budget=options.budget,
            processes=options.processes,
        )
        return 0
    if options.action == "run":
        out, pictures = run(options, command)
    else:
        out, pictures = options.out or RESULTS, options.pictures or ROOT / "docs" / "assets"
    for path in draw_all(out, pictures):
        print(f"drew {path}")
    return 0


def parse(args: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dfo", description=__doc__)
    parser.add_argument(
        "action", nargs="?", choices=("run", "tune", "pictures", "page"), default="run"
    )
    parser.add_argument("--problems", nargs="+", choices=tuple(SUITE), default=list(SUITE))
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=None, help=f"{SEEDS}; tune takes 3")
    parser.add_argument("--budget", type=int, default=SIMPLEX_GRADIENTS, help="times n + 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "dfo")
    parser.add_argument("--out", type=Path, default=None, help="folder of the record")
    parser.add_argument("--pictures", type=Path, default=None, help="folder of the pictures")
    parser.add_argument("--check", action="store_true", help="page: change nothing, fail if old")
    options = parser.parse_args(args)
    if options.seeds is None:
        options.seeds = 3 if options.action == "tune" else SEEDS
    if options.seeds < 1 or options.budget < 1 or options.processes < 0:
        parser.error("--seeds and --budget must be at least 1, --processes at least 0")
    if len(options.methods) < 3:
        parser.error("Friedman's test compares at least 3 --methods")
    if len(options.problems) * len(options.settings) < 2:
        parser.error("ranking needs at least 2 cases: more --problems or --settings")
    return options


def run(options: argparse.Namespace, command: str) -> tuple[Path, Path]:
    """Run the methods, write the record and return the folders of the record and the pictures."""
    whole = (
        len(options.problems) == len(SUITE)
        and len(options.settings) == len(SETTINGS)
        and len(options.methods) == len(METHODS)
        and options.seeds >= 10
    )
    # A part of the suite must not replace the record of the whole.
    part = options.cache / "part"
    out = options.out or (RESULTS if whole else part)
    pictures = options.pictures or (ROOT / "docs" / "assets" if whole else part)
    origin = describe_origin(command, PACKAGES)
    jobs = [
        Job(method, problem, setting, options.seeds, options.budget, steps=chosen_steps(method))
        for setting in options.settings
        for problem in options.problems
        for method in options.methods
    ]
    outcomes = run_jobs(jobs, processes=options.processes, cache=options.cache)
    cases = collect(jobs, outcomes)
    record = {**origin, **make_record(cases, options.budget), "cpu_seconds": costs(jobs, outcomes)}
    write_record(out, cases, record, options.budget)
    for line in record.get("verdict", []):
        print(line)
    print(f"record in {out}, {sum(record['cpu_seconds'].values()):.0f} s of processor time")
    return out, pictures


def collect(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Case]:
    """Return the cases, each with the traces of all methods."""
    traces: dict[tuple[str, str], dict[str, list]] = defaultdict(dict)
    for job, outcome in zip(jobs, outcomes, strict=True):
        traces[job.setting, job.problem][job.method] = outcome.traces
    return [
        Case(setting, name, p.function, p.dimension, p.num_residuals, found)
        for (setting, name), found in traces.items()
        for p in [SUITE[name]]
    ]


def costs(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the processor time of each method."""
    seconds: dict[str, float] = defaultdict(float)
    for job, outcome in zip(jobs, outcomes, strict=True):
        seconds[job.method] += outcome.cpu_seconds
    return {method: round(total, 1) for method, total in seconds.items()}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StructuredLayersError as error:
        sys.exit(f"error: {error}")
