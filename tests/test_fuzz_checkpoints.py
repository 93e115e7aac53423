"""Damaged folders load right or raise CheckpointError, quickly and in little memory.

`fuzz_worker.py` reads them in a process of its own, whose death or silence is a failure too.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import structured_layers

TESTS = Path(__file__).parent
PATHS = (TESTS, Path(structured_layers.__file__).parents[1], os.environ.get("PYTHONPATH", ""))
QUICK, FULL, PART = 300, 10_000, 1_000
LIMIT = 600  # seconds for a part, before the test gives up

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the worker reads its memory from Linux's /proc"
)


def read_damaged(folder: Path, first: int, count: int) -> dict[str, Any]:
    """Let a worker read some mutations and return what it counted."""
    result = subprocess.run(
        [sys.executable, str(TESTS / "fuzz_worker.py"), str(folder), str(first), str(count)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, PATHS)))},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    counts: dict[str, Any] = json.loads(result.stdout)
    return counts


def check(counts: dict[str, Any], number: int) -> None:
    assert not counts["failures"], "\n".join(counts["failures"][:3])
    loaded, raised = sum(counts["loaded"].values()), sum(counts["raised"].values())
    assert loaded + raised == number
    assert loaded and raised


def test_damaged_folders_load_right_or_raise(tmp_path: Path) -> None:
    check(read_damaged(tmp_path, 0, QUICK), QUICK)


@pytest.mark.slow
def test_ten_thousand_damaged_folders_load_right_or_raise(tmp_path: Path) -> None:
    total: dict[str, Any] = {"loaded": Counter(), "raised": Counter(), "failures": []}
    for first in range(0, FULL, PART):
        counts = read_damaged(tmp_path / str(first), first, PART)
        total["loaded"].update(counts["loaded"])
        total["raised"].update(counts["raised"])
        total["failures"] += counts["failures"]
    check(total, FULL)
