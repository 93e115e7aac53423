"""Training runs that a benchmark plans, one record each."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from machine import RESULTS, ROOT


class Planned(NamedTuple):
    """A run: the name of its record and the words after ``structured-layers``."""

    name: str
    command: list[str]


def record_planned(group: str, runs: Iterable[Planned], *, only: str, just_list: bool) -> int:
    """Run what has no record yet through benchmarks/record_run.py, or print the commands.

    An interrupted run goes on when it is started again.

    Args:
        group: folder of the records under benchmarks/results/.
        runs: in their order.
        only: runs whose name contains this.
        just_list: print and run nothing.

    Returns:
        The exit code of the first run that failed, else 0.
    """
    for run in runs:
        if only not in run.name:
            continue
        script = ["benchmarks/record_run.py", "--group", group, run.name]
        command = [sys.executable, *script, "--", *run.command]
        if just_list:
            print(shlex.join(["python", *command[1:]]))
        elif not (RESULTS / group / run.name / "record.json").exists():
            code = subprocess.run(command, cwd=ROOT).returncode
            if code:
                return code
    return 0


def open_runs(
    group: Path, methods: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[str, str, int]]:
    """Print all runs of Hopper, and yield name, method and seed of those without a record."""
    for seed in seeds:
        for method in methods:
            name = f"hopper-{method}-seed{seed}"
            is_done = (group / name / "record.json").exists()
            print(name, "done" if is_done else "", flush=True)
            if not is_done:
                yield name, method, seed
