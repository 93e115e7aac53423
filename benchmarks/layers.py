"""Structured layers against nn.Linear, side by side.

    python benchmarks/layers.py
    python benchmarks/layers.py --device cuda

Rounds go through all layers of one size and batch, forwards and forwards + backwards; a ratio is a
layer's median time over nn.Linear's. On the CPU one thread and float32, elsewhere float32 and
bfloat16 up to 16384. Prints the table and the limits that the layers are held to, and writes
benchmarks/results/layers.json and docs/assets/layer_speed.png (with the device's name if it
is not the CPU).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from layer_clustering import projection_seconds
from layer_limits import Limit, Row, check_limits, check_projection
from layer_memory import memory_ratios
from layer_plots import plot_ratios
from machine import RESULTS, ROOT, describe_origin
from timing import forward_call, median_seconds, training_call
from torch import nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LowDisplacementRankLinear,
    ToeplitzLinear,
)
from structured_layers.files import write_json

SQUARES = (41, 128, 512, 1024, 2048, 4096)
RECTANGLES = ((17, 41), (41, 6), (4096, 512))  # in × out
BATCHES = (1, 64, 1024)
DISPLACEMENT = {
    f"{family} rank {rank}": partial(LowDisplacementRankLinear, rank=rank, family=family)
    for family in ("toeplitz", "hankel", "toeplitz_hankel")
    for rank in (1, 2)
}


def make_layers(in_features: int, out_features: int, **placement: Any) -> dict[str, nn.Module]:
    """Return the layers that are compared at a size; the first one is the measure."""
    sizes = (in_features, out_features)
    layers: dict[str, nn.Module] = {
        "nn.Linear": nn.Linear(*sizes, **placement),
        "Toeplitz": ToeplitzLinear(*sizes, **placement),
        "Hankel": HankelLinear(*sizes, **placement),
        "circulant": CirculantLinear(*sizes, **placement),
    }
    layers["to_linear()"] = layers["Toeplitz"].to_linear()
    if max(sizes) <= 128:
        layers["chromatic"] = ChromaticLinear(*sizes, palette=17, **placement)
    if min(sizes) >= 512:
        layers |= {name: make(*sizes, **placement) for name, make in DISPLACEMENT.items()}
    return layers


def measure(
    sizes: list[tuple[int, int]], device: str, dtype: torch.dtype, budget: float
) -> Iterator[Row]:
    """Yield the times of every layer at every size and batch."""
    for in_features, out_features in sizes:
        layers = make_layers(in_features, out_features, device=device, dtype=dtype)
        for batch in BATCHES:
            x = torch.randn(batch, in_features, device=device, dtype=dtype)
            for mode, call in (("forward", forward_call), ("forward+backward", training_call)):
                if mode != "forward":
                    layers.pop("to_linear()", None)
                functions = {name: call(layer, x) for name, layer in layers.items()}
                times = median_seconds(
                    functions, rounds=500, sample=0.0004, budget=budget, device=device
                )
                for name, seconds in times.items():
                    yield Row(
                        name, in_features, out_features, batch, mode, str(dtype).split(".")[-1],
                        1e6 * seconds, seconds / times["nn.Linear"],
                    )  # fmt: skip
                if mode != "forward":
                    layers["to_linear()"] = layers["Toeplitz"].to_linear()


def print_row(row: Row) -> None:
    """Print a line of the table."""
    size = f"{row.in_features}×{row.out_features}"
    print(
        f"{row.layer:22} {size:>11} batch {row.batch:5} {row.mode:16} {row.dtype:8} "
        f"{row.microseconds:12,.1f} µs {row.ratio:7.3f} of nn.Linear",
        flush=True,
    )


def print_limits(limits: list[Limit]) -> None:
    """Print what was to be reached, and whether it was."""
    for limit in limits:
        verdict = "pass" if limit.passed else "FALLS SHORT"
        print(
            f"{verdict:11}  {limit.wanted}: {limit.measured:.3f}"
            f"{f' ({limit.where})' if limit.where else ''}"
        )


def main() -> None:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description="Structured layers against nn.Linear.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", type=int, nargs="*", help="square sizes instead of all sizes")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds per size, batch, mode")
    args = parser.parse_args()
    torch.set_num_threads(1)
    is_cpu = args.device == "cpu"
    squares = SQUARES if is_cpu else (*SQUARES, 8192, 16384)
    sizes = [(n, n) for n in squares] + list(RECTANGLES)
    sizes = [(n, n) for n in args.sizes] if args.sizes else sizes
    dtypes = [torch.float32] if is_cpu else [torch.float32, torch.bfloat16]
    rows = []
    for dtype in dtypes:
        for row in measure(sizes, args.device, dtype, args.budget):
            print_row(row)
            rows.append(row)
    memory = memory_ratios(4096, args.device)
    limits = check_limits(rows, memory)
    if is_cpu:
        limits.append(check_projection(4096, 17, projection_seconds(4096, 17)))
    print_limits(limits)
    if args.sizes:
        return
    suffix = "" if is_cpu else f"_{args.device.split(':')[0]}"
    RESULTS.mkdir(exist_ok=True)
    record = {
        **describe_origin("python benchmarks/layers.py", ("torch", "structured-layers")),
        "device": "cpu, 1 thread" if is_cpu else torch.cuda.get_device_name(args.device),
        "limits": [limit._asdict() for limit in limits],
        "memory_at_4096": memory,
        "rows": [row._asdict() for row in rows],
    }
    write_json(RESULTS / f"layers{suffix}.json", record)
    plot_ratios(rows, ROOT / "docs" / "assets" / f"layer_speed{suffix}.png")


if __name__ == "__main__":
    main()
