"""What ``import structured_layers`` adds to ``import torch``.

    python benchmarks/import_time.py

Fresh interpreters import torch, then structured_layers, and say how long the second import took;
the ratio is to the time of the first. Writes benchmarks/results/import_time.json.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from machine import RESULTS, describe_origin

from structured_layers.files import write_json

PROGRAM = """
import time
a = time.perf_counter()
import torch
b = time.perf_counter()
import structured_layers
print(b - a, time.perf_counter() - b)
"""


def main() -> None:
    """Measure and write the record."""
    runs = []
    for _ in range(11):
        out = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        ).stdout
        runs.append([float(part) for part in out.split()])
    torch_seconds, ours_seconds = zip(*runs[1:], strict=True)  # the first fills the disk cache
    record = {
        **describe_origin("python benchmarks/import_time.py"),
        "torch_ms": 1000 * statistics.median(torch_seconds),
        "structured_layers_ms": 1000 * statistics.median(ours_seconds),
        "ratio": statistics.median(ours_seconds) / statistics.median(torch_seconds),
    }
    write_json(RESULTS / "import_time.json", record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
