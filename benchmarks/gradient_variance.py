"""Variance of the gradient's estimate: the theorem on orthogonal directions, and control variates.

    python benchmarks/gradient_variance.py

First part: MSE(ort) = MSE(iid) − (N − 1)/N·‖∇J‖² at two dimensions, several N and all three
estimators, each to a standard error of at most 3 % of the predicted difference. Second part: what
learned control variates take away. Writes benchmarks/results/gradient_variance.json and
docs/assets/gradient_variance.png.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from typing import Any

import torch
from learned_variates import slope_rows, structure_rows
from machine import RESULTS, ROOT, describe_origin
from torch import Tensor

from structured_layers.algorithms.directions import gaussian, orthogonal
from structured_layers.algorithms.gradient_estimators import (
    antithetic,
    forward_difference,
    vanilla,
)
from structured_layers.files import write_json
from structured_layers.plots.figure import new_figure, save_figure

DIMENSIONS = (64, 256)
SHARES = (1 / 4, 1 / 2, 1.0)  # N / d
ESTIMATORS = ("antithetic", "forward", "vanilla")
STDEV = 0.5
WANTED_ERROR = 0.03  # of the predicted difference
AIM = 0.025  # of the predicted difference, so that the error found is below what is wanted
PILOT = 300  # estimates that tell how many are needed; they are thrown away


class Landscape:
    """F(x) = Σ c_j sin x_j + ½ xᵀAx + const, whose smoothing has a gradient in closed form."""

    def __init__(self, dimension: int) -> None:
        generator = torch.Generator().manual_seed(dimension)
        self.center, self.slopes = torch.randn(
            2, dimension, generator=generator, dtype=torch.float64
        )
        matrix = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
        self.matrix = (matrix + matrix.T) / (4 * math.sqrt(dimension))
        self.offset = 0.0
        self.offset = float(self(self.center[None])) - 2.0  # F(θ) = 2, which vanilla has to bear

    def __call__(self, x: Tensor) -> Tensor:
        curved = 0.5 * ((x @ self.matrix) * x).sum(-1)
        return (x.sin() * self.slopes).sum(-1) + curved - self.offset

    def gradient(self) -> Tensor:
        """Return ∇E[F(θ + σε)], ε ~ N(0, I)."""
        wave = self.slopes * self.center.cos() * math.exp(-(STDEV**2) / 2)
        return wave + self.matrix @ self.center

    def squared_error(self, estimator: str, noise: Tensor) -> float:
        """Return ‖ĝ − ∇J‖² of an estimate from these directions."""
        plus = self(self.center + STDEV * noise)
        if estimator == "antithetic":
            estimate = antithetic(plus, self(self.center - STDEV * noise), noise, STDEV)
        elif estimator == "forward":
            estimate = forward_difference(plus, self(self.center[None])[0], noise, STDEV)
        else:
            estimate = vanilla(plus, noise, STDEV)
        return float(((estimate - self.gradient()) ** 2).sum())


def main() -> int:
    """Measure, print, write record and picture; fail if the theorem is not met."""
    parser = argparse.ArgumentParser(description="Variance of the gradient's estimate.")
    parser.add_argument("--quick", action="store_true", help="a small part, nothing is written")
    args = parser.parse_args()
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    dimensions, estimators = (DIMENSIONS[:1], ESTIMATORS[:1]) if args.quick else (
        DIMENSIONS, ESTIMATORS
    )  # fmt: skip
    theorem = [
        theorem_row(dimension, round(share * dimension), estimator)
        for dimension in dimensions
        for estimator in estimators
        for share in SHARES
    ]
    passed = all(
        abs(row["deviation"]) <= 3 and row["standard_error"] <= WANTED_ERROR * row["predicted"]
        for row in theorem
    )
    print(f"within three standard errors of at most 3 %: {'all' if passed else 'NOT all'}")
    if args.quick:
        return int(not passed)
    variates = [*slope_rows(), *structure_rows()]
    record = {
        **describe_origin("python benchmarks/gradient_variance.py"),
        "stdev": STDEV,
        "wanted_error": WANTED_ERROR,
        "theorem": theorem,
        "control_variates": variates,
    }
    write_json(RESULTS / "gradient_variance.json", record)
    draw(theorem)
    return int(not passed)


def theorem_row(dimension: int, num: int, estimator: str) -> dict[str, Any]:
    """Measure both errors, as often as a pilot says that it takes."""
    landscape = Landscape(dimension)
    squared_norm = float((landscape.gradient() ** 2).sum())
    predicted = (num - 1) / num * squared_norm
    generator = torch.Generator().manual_seed(10 * num + ESTIMATORS.index(estimator))

    def errors(repeats: int) -> tuple[Tensor, Tensor]:
        kinds = (gaussian, orthogonal)
        values = [
            [
                landscape.squared_error(estimator, kind(num, dimension, generator, torch.float64))
                for _ in range(repeats)
            ]
            for kind in kinds
        ]
        iid, ort = torch.tensor(values, dtype=torch.float64)
        return iid, ort

    iid, ort = errors(PILOT)
    needed = float(iid.var() + ort.var()) / (AIM * predicted) ** 2
    iid, ort = errors(max(PILOT, math.ceil(needed)))
    standard_error = math.sqrt(float(iid.var() + ort.var()) / len(iid))
    measured = float(iid.mean() - ort.mean())
    row = {
        "dimension": dimension,
        "num_directions": num,
        "estimator": estimator,
        "repeats": len(iid),
        "squared_norm": squared_norm,
        "mse_iid": float(iid.mean()),
        "mse_orthogonal": float(ort.mean()),
        "predicted": predicted,
        "measured": measured,
        "standard_error": standard_error,
        "deviation": (measured - predicted) / standard_error,
    }
    print(row)
    return row


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the difference of the errors over the number of directions, with the prediction."""
    dimensions = sorted({row["dimension"] for row in rows})
    figure = new_figure(4.5 * len(dimensions), 3.6)
    axes = figure.subplots(1, len(dimensions), squeeze=False)[0]
    for ax, dimension in zip(axes, dimensions, strict=True):
        for number, estimator in enumerate(ESTIMATORS):
            mine = [r for r in rows if (r["dimension"], r["estimator"]) == (dimension, estimator)]
            ax.errorbar(
                [row["num_directions"] * (1 + 0.04 * (number - 1)) for row in mine],
                [row["measured"] / row["squared_norm"] for row in mine],
                yerr=[3 * row["standard_error"] / row["squared_norm"] for row in mine],
                fmt="o",
                markersize=4,
                capsize=3,
                label=estimator,
            )
        numbers = sorted({row["num_directions"] for row in rows if row["dimension"] == dimension})
        counts = torch.linspace(numbers[0] * 0.8, dimension * 1.2, 200)
        ax.plot(counts, (counts - 1) / counts, color="0.3", label="(N − 1)/N")
        ax.set(title=f"d = {dimension}", xlabel="directions N", xscale="log")
        ax.set_xticks(numbers, labels=[str(number) for number in numbers])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("(MSE iid − MSE orthogonal) / ‖∇J‖²")
    axes[-1].legend(fontsize=8)
    save_figure(figure, ROOT / "docs" / "assets" / "gradient_variance.png")


if __name__ == "__main__":
    sys.exit(main())
