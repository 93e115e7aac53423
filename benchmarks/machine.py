"""What a record says of where and from what it was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
WHAT_COUNTS = (".", ":!benchmarks/results", ":!docs/assets")  # what benchmarks write does not
PACKAGES = ("torch", "numpy", "mujoco", "gymnasium", "evotorch", "ray", "structured-layers")


def describe_origin(command: str, packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """Return the command, commit, versions and machine."""
    return {
        "command": command,
        "commit": _git("rev-parse", "HEAD"),
        "clean": not _git("status", "--porcelain", "--untracked-files=no", "--", *WHAT_COUNTS),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
    }


def _git(*args: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *args], capture_output=True, text=True, check=True
    ).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
