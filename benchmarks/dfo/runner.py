"""Runs of methods on problems, in several processes, kept in files so that they can go on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from structured_layers.algorithms import directions, gradient_estimators, walsh_hadamard
from structured_layers.files import write_bytes

from .chosen_steps import StepRule
from .held_out import held_out_problems
from .methods import Steps, run_method
from .objective import Trace
from .suite import more_wild_problems

PACKAGES = ("torch", "numpy", "scipy", "evotorch", "cmaes")
COLLECTIONS = {
    collection: {problem.name: problem for problem in problems}
    for collection, problems in (
        ("more-wild", more_wild_problems()),
        ("held-out", held_out_problems()),
    )
}


@dataclass(frozen=True)
class Job:
    """All seeds of a method on one problem in one setting.

    Args:
        method: a name among ``METHODS``.
        problem: a name within the collection.
        setting: a name among ``SETTINGS``.
        seeds: runs.
        simplex_gradients: the budget in evaluations is n + 1 times these.
        collection: ``"more-wild"`` or ``"held-out"``.
        steps: a rule for gradient sensing, the first stdev for an EvoTorch search; None for others.
    """

    method: str
    problem: str
    setting: str
    seeds: int
    simplex_gradients: int
    collection: str = "more-wild"
    steps: Steps = None

    def path(self, cache: Path) -> Path:
        """Return the file of the results."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]
        folder = cache / self.collection / self.setting / self.problem
        return folder / f"{self.method}-{digest}.json"


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a trace for each run, and what they cost together."""

    traces: list[Trace]
    cpu_seconds: float


def run_job(job: Job) -> Outcome:
    """Run a job in this process."""
    problem = COLLECTIONS[job.collection][job.problem]
    start = time.process_time()
    traces = run_method(
        job.method, problem, job.setting, job.seeds, job.simplex_gradients, job.steps
    )
    return Outcome(traces, time.process_time() - start)


def code_fingerprint() -> str:
    """Return a digest of the code that results depend on, and of the packages below it."""
    own = Path(__file__).parent
    names = (
        "algebraic", "curve_fits", "evotorch_searches", "gradient_sensing", "held_out",
        "least_squares", "measured_data", "methods", "objective", "scipy_methods", "settings",
        "suite",
    )  # fmt: skip
    modules = (directions, gradient_estimators, walsh_hadamard)
    paths = [own / f"{name}.py" for name in names] + [Path(str(m.__file__)) for m in modules]
    code = [path.read_bytes() for path in paths]
    code.append(inspect.getsource(StepRule).encode())  # not the chosen numbers: a job names them
    versions = json.dumps({name: installed_version(name) for name in PACKAGES})
    return hashlib.sha256(b"".join(code) + versions.encode()).hexdigest()


def installed_version(package: str) -> str | None:
    """Return the version of a package, None if it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_outcome(job: Job, cache: Path, fingerprint: str) -> Outcome | None:
    """Return what an earlier run of the same job by the same code left, if there is any."""
    try:
        found = json.loads(job.path(cache).read_bytes())
        if found["job"] != asdict(job) or found["fingerprint"] != fingerprint:
            return None
        return Outcome([Trace(**trace) for trace in found["traces"]], found["cpu_seconds"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or one that was cut off
        return None


def write_outcome(job: Job, outcome: Outcome, cache: Path, fingerprint: str) -> None:
    """Keep the outcome, at one blow."""
    path = job.path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"fingerprint": fingerprint, "job": asdict(job), **asdict(outcome)}
    write_bytes(path, json.dumps(content, allow_nan=False).encode())


def run_jobs(
    jobs: Sequence[Job], *, processes: int, cache: Path | None, title: str = "runs"
) -> list[Outcome]:
    """Run what the cache does not hold yet, under a progress bar.

    Args:
        jobs: what to run.
        processes: 0 runs in this process.
        cache: folder of the results, None keeps nothing.
        title: of the progress bar.

    Returns:
        The outcomes in the order of the jobs.
    """
    fingerprint = code_fingerprint()
    outcomes: dict[Job, Outcome] = {}
    for job in jobs:
        found = read_outcome(job, cache, fingerprint) if cache else None
        if found:
            outcomes[job] = found
    bar = Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    missing = [job for job in dict.fromkeys(jobs) if job not in outcomes]
    with bar:
        task = bar.add_task(title, total=len(outcomes) + len(missing), completed=len(outcomes))
        for job, outcome in _computed(missing, processes):
            if cache:
                write_outcome(job, outcome, cache, fingerprint)
            outcomes[job] = outcome
            bar.advance(task)
    return [outcomes[job] for job in jobs]


def _computed(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Yield each job with its outcome, as they end."""
    if not processes or not jobs:
        yield from ((job, run_job(job)) for job in jobs)
        return
    context = get_context("spawn")  # a forked PyTorch may hang
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        futures = {pool.submit(run_job, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
