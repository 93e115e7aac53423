"""Fit the rule by which layers choose between their dense weight and an FFT.

    python benchmarks/fft_crossover.py

Times both ways over sizes, batches and modes on one CPU core, fits the constants of
structured_layers.layers.dispatch and structured_layers.layers.displacement to the logarithms of the
times, and says how much slower than the better way the choice of the present constants is. Writes
benchmarks/results/fft_crossover.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from machine import RESULTS, describe_origin
from timing import forward_call, median_seconds, training_call
from torch import Tensor, nn

from structured_layers import LowDisplacementRankLinear, StructuredLinear, ToeplitzLinear
from structured_layers.files import write_json
from structured_layers.layers import dispatch
from structured_layers.layers.displacement_families import low_displacement_rank_product
from structured_layers.layers.fft_products import toeplitz_length, toeplitz_product

SIZES = [
    (41, 17),
    (128, 128),
    (256, 256),
    (512, 512),
    (1024, 1024),
    (2048, 2048),
    (512, 4096),
    (4096, 512),
]
BATCHES = (1, 16, 64, 1024)
LARGEST = 2**31  # entries times batch


class Dense(nn.Module):
    """A layer that always builds its weight."""

    def __init__(self, layer: StructuredLinear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.layer.weight, self.layer.bias)


class Fast(nn.Module):
    """A layer that always multiplies by FFT."""

    def __init__(self, layer: StructuredLinear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, input: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, ToeplitzLinear):
            return toeplitz_product(layer.values, input, layer.out_features) + layer.bias
        product = low_displacement_rank_product(
            layer.values, input, layer.out_features, layer.family
        )
        return product + layer.bias


def work_of(layer: StructuredLinear, x: Tensor) -> dispatch.Work:
    """Return the work that the layer itself hands to the rule."""
    if isinstance(layer, LowDisplacementRankLinear):
        return layer._work(x)
    length = toeplitz_length(layer.out_features, layer.in_features)
    entries = layer.out_features * layer.in_features
    return dispatch.Work(entries, dispatch.transform_points(x, length))


def measure() -> Iterator[dict[str, Any]]:
    """Time both ways everywhere."""
    makers = {
        "toeplitz": ToeplitzLinear,
        "displacement 1": lambda n, m: LowDisplacementRankLinear(n, m, rank=1),
        "displacement 3": lambda n, m: LowDisplacementRankLinear(n, m, rank=3),
    }
    for kind, make in makers.items():
        for out_features, in_features in SIZES:
            layer = make(in_features, out_features)
            for batch in BATCHES:
                if batch * out_features * in_features > LARGEST:
                    continue
                x = torch.randn(batch, in_features)
                for mode, call in (("evaluation", forward_call), ("training", training_call)):
                    functions = {"dense": call(Dense(layer), x), "fft": call(Fast(layer), x)}
                    times = median_seconds(functions, rounds=5, sample=0.002, budget=0.3)
                    row = {
                        "kind": kind, "out": out_features, "in": in_features, "batch": batch,
                        "mode": mode, **{f"{k}_us": 1e6 * v for k, v in times.items()},
                        **work_of(layer, x)._asdict(),
                    }  # fmt: skip
                    yield row


def fit_positive(features: list[list[float]], times: list[float], steps: int = 4000) -> list[float]:
    """Return positive coefficients whose sums are closest to the times in logarithms."""
    columns = torch.tensor(features, dtype=torch.float64)
    target = torch.tensor(times, dtype=torch.float64).log()
    typical = torch.linalg.lstsq(columns, target.exp()[:, None]).solution[:, 0].abs()
    logs = typical.clamp(min=1e-6).log().requires_grad_()
    optimizer = torch.optim.Adam([logs], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        (columns @ logs.exp()).log().sub(target).square().mean().backward()
        optimizer.step()
    return logs.exp().tolist()


def fit(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit the constants of each mode, in nanoseconds."""
    fitted = {}
    for mode in ("evaluation", "training"):
        rs = [r for r in rows if r["mode"] == mode]
        plain = [r for r in rs if r["kind"] == "toeplitz"]
        ranked = [r for r in rs if r["kind"] != "toeplitz"]
        entries = [[r["entries"], r["entries"] * r["batch"]] for r in plain]
        build, multiply = fit_positive(entries, [1e3 * r["dense_us"] for r in plain])
        points = [[1.0, r["points"]] for r in plain]
        fixed, point = fit_positive(points, [1e3 * r["fft_us"] for r in plain])
        # Displacement: building costs base + rank · slope per entry, and a start of its own.
        rank = [int(r["kind"].split()[-1]) for r in ranked]
        parts = [
            [1.0, r["entries"], k * r["entries"], r["entries"] * r["batch"]]
            for r, k in zip(ranked, rank, strict=True)
        ]
        start, base, slope, _ = fit_positive(parts, [1e3 * r["dense_us"] for r in ranked])
        calls, _ = fit_positive(
            [[1.0, r["points"]] for r in ranked], [1e3 * r["fft_us"] for r in ranked]
        )
        fitted[mode] = {
            "build": build, "multiply": multiply, "fixed": fixed, "point": point,
            "BUILD": base / build, "BUILD_PER_RANK": slope / build,
            "CALLS": (calls - start) / fixed,
        }  # fmt: skip
    return fitted


def judge(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return how much slower than the better way the present rule's choice is."""
    losses = []
    for row in rows:
        cost = dispatch.TRAINING if row["mode"] == "training" else dispatch.EVALUATION
        dense = row["entries"] * (row["build"] * cost.build + row["batch"] * cost.multiply)
        fft = row["calls"] * cost.fixed + row["points"] * cost.point
        chosen = row["fft_us"] if fft < dense else row["dense_us"]
        row["chosen"] = "fft" if fft < dense else "dense"
        losses.append(chosen / min(row["fft_us"], row["dense_us"]))
    return {"mean": float(np.mean(losses)), "largest": max(losses)}


def main() -> None:
    """Measure, fit, judge and write the record."""
    parser = argparse.ArgumentParser(description="Fit the choice between dense weight and FFT.")
    parser.add_argument("--judge", help="a record to judge the present constants by, untimed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.judge:
        rows = json.loads(open(args.judge).read())["rows"]
        print(json.dumps({"fitted": fit(rows), "slower": judge(rows)}, indent=2))
        return
    rows = []
    for row in measure():
        rows.append(row)
        print(
            f"{row['kind']:15} {row['out']:5}×{row['in']:<5} batch {row['batch']:5} "
            f"{row['mode']:10} dense {row['dense_us']:10.0f} µs, FFT {row['fft_us']:10.0f} µs",
            flush=True,
        )
    record = {
        **describe_origin("python benchmarks/fft_crossover.py", ("torch", "structured-layers")),
        "fitted_nanoseconds": fit(rows),
        "slower_than_the_better_way": judge(rows),
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "fft_crossover.json", record)
    print(json.dumps({k: v for k, v in record.items() if k != "rows"}, indent=2))


if __name__ == "__main__":
    main()
