"""Cost of a generation's directions, and what cutting padded Hadamard rows costs.

    python benchmarks/directions.py

Draws 256 directions of each kind in dimensions from 1e2 to 1e6, block by block as
direction_blocks yields them and as a search draws them, on one CPU core: times side by side, peak
memory in a process of its own (on Linux). It is the drawing alone: a generation of a search holds
its candidates too, and draws more than one block twice. Orthogonal directions need their whole
block in double precision, several times over, and are drawn up to dimension 1e5. Writes
benchmarks/results/directions.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import RESULTS, describe_origin
from timing import median_seconds
from torch import Tensor

from structured_layers.algorithms.directions import direction_blocks, hadamard
from structured_layers.files import write_json

NUM_DIRECTIONS = 256
DIMENSIONS = (100, 1_000, 10_000, 100_000, 1_000_000)
KINDS = ("gaussian", "hadamard", "coordinate", "orthogonal")
LARGEST_ORTHOGONAL = 100_000
LIMIT, LIMIT_FROM = 1.5, 10_000  # Hadamard's time over the Gaussian draw's
CUT_DIMENSIONS = (100, 254, 256, 1_000, 1_024, 10_000)


def main() -> int:
    """Measure, print and write the record; fail if Hadamard directions are too slow."""
    parser = argparse.ArgumentParser(description="Cost of a generation's directions.")
    parser.add_argument("--peak", nargs=2, metavar=("KIND", "DIMENSION"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        print(peak_bytes(args.peak[0], int(args.peak[1])))
        return 0
    rows = [row for dimension in DIMENSIONS for row in measure(dimension)]
    cuts = [cut_row(d, factors) for d in CUT_DIMENSIONS for factors in (1, 2)]
    for cut in cuts:
        print(cut)
    slowest = max(
        row["ratio"] for row in rows if row["kind"] == "hadamard" and row["dimension"] >= LIMIT_FROM
    )
    print(f"hadamard over gaussian from {LIMIT_FROM}: {slowest:.2f}, wanted at most {LIMIT}")
    record = {
        **describe_origin("python benchmarks/directions.py", ("torch", "structured-layers")),
        "num_directions": NUM_DIRECTIONS,
        "slowest_hadamard_ratio": slowest,
        "rows": rows,
        "cuts": cuts,
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "directions.json", record)
    return int(slowest > LIMIT)


def measure(dimension: int) -> list[dict[str, Any]]:
    """Return the time and memory of each kind in one dimension."""
    kinds = [k for k in KINDS if k != "orthogonal" or dimension <= LARGEST_ORTHOGONAL]
    seconds = median_seconds({kind: drawing(kind, dimension) for kind in kinds}, budget=20.0)
    rows = []
    for kind in kinds:
        row = {
            "kind": kind,
            "dimension": dimension,
            "seconds": seconds[kind],
            "ratio": seconds[kind] / seconds["gaussian"],
            "peak_bytes": peak_in_own_process(kind, dimension),
            "all_rows_bytes": NUM_DIRECTIONS * dimension * 4,
        }
        print(row)
        rows.append(row)
    return rows


def drawing(kind: str, dimension: int) -> Callable[[], None]:
    """Return a function that draws a generation's directions and keeps none."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> None:
        for _ in direction_blocks(kind, NUM_DIRECTIONS, dimension, generator):
            pass

    return draw


def peak_in_own_process(kind: str, dimension: int) -> int:
    """Return what drawing adds to the peak memory of a fresh process."""
    command = [sys.executable, __file__, "--peak", kind, str(dimension)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_bytes(kind: str, dimension: int) -> int:
    """Return what drawing adds to this process's peak memory."""
    drawing(kind, 16)()  # what is allocated once for all
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports; see proc(5)
    before = memory_bytes("VmRSS")
    drawing(kind, dimension)()
    return memory_bytes("VmHWM") - before


def memory_bytes(name: str) -> int:
    """Return a number of /proc/self/status: VmRSS is the memory now, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def cut_row(dimension: int, num_factors: int) -> dict[str, Any]:
    """Return how far Hadamard rows, padded and cut, are from orthogonal, and their norms."""
    num = min(dimension, NUM_DIRECTIONS)
    draw = partial(hadamard, num_factors=num_factors)
    rows = draw(num, dimension, torch.Generator().manual_seed(0), torch.float64)
    cosines = off_diagonal(rows)
    norms = rows.norm(dim=1) / dimension**0.5
    return {
        "dimension": dimension,
        "num_factors": num_factors,
        "num_directions": num,
        "largest_cosine": float(cosines.abs().max()),
        "rms_cosine": float((cosines**2).mean().sqrt()),
        "rms_gaussian": dimension**-0.5,
        "norm_spread": float(norms.std()),
    }


def off_diagonal(rows: Tensor) -> Tensor:
    """Return the cosines of all pairs of rows."""
    unit = rows / rows.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    return cosines[~torch.eye(len(rows), dtype=torch.bool)]


if __name__ == "__main__":
    sys.exit(main())
