"""``python -m benchmarks.dfo``: run the suite, tune, or draw and write what was recorded."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.machine import ROOT, describe_origin
from structured_layers.errors import StructuredLayersError

from .methods import chosen_steps
from .options import parse, pictures_folder, record_folder
from .page import PAGE, write_page
from .pictures import draw_all
from .record import make_record, write_record
from .runner import COLLECTIONS, Job, Outcome, run_jobs
from .scores import Case
from .tuning import tune

PACKAGES = ("torch", "numpy", "scipy", "scikit-posthocs", "evotorch", "structured-layers")
SUITE = COLLECTIONS["more-wild"]


def main(args: Sequence[str] | None = None) -> int:
    """Do what the command line asks for and return the exit code."""
    options = parse(args)
    command = shlex.join(
        ["python", "-m", "benchmarks.dfo", *(sys.argv[1:] if args is None else args)]
    )
    out = record_folder(options)
    if options.action == "page":
        return write_page(ROOT / PAGE, out, check=options.check)
    if options.action == "tune":
        tune(
            out,
            options.cache,
            describe_origin(command, PACKAGES),
            seeds=options.seeds,
            budget=options.budget,
            processes=options.processes,
        )
        return 0
    if options.action == "run":
        run(options, command)
    for path in draw_all(out, pictures_folder(options)):
        print(f"drew {path}")
    return 0


def run(options: argparse.Namespace, command: str) -> None:
    """Run the methods and write the record."""
    out, origin = record_folder(options), describe_origin(command, PACKAGES)
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
    for problems, answer in record["verdict"].items():
        print(f"{problems}, {answer['num_cases']} cases:")
        for line in answer["sentences"]:
            print(f"  {line}")
    print(f"record in {out}, {sum(record['cpu_seconds'].values()):.0f} s of processor time")


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
