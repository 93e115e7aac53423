"""Pictures of the structures, for the pages of the layers.

    python benchmarks/structure_pictures.py

Writes docs/assets/structure_*.png: entries of one colour share one weight; for layers of low
displacement rank the weight and its displacement.
"""

from __future__ import annotations

from pathlib import Path

import torch
from machine import ROOT
from torch import Tensor

from structured_layers import ChromaticLinear, LowDisplacementRankLinear
from structured_layers.layers.circulant import circulant
from structured_layers.layers.hankel import hankel
from structured_layers.layers.toeplitz import toeplitz
from structured_layers.plots.figure import new_figure, save_figure

OUT_FEATURES, IN_FEATURES = 6, 10
ASSETS = ROOT / "docs" / "assets"


def draw_shared(weights: list[Tensor], path: Path) -> None:
    """Draw matrices whose entries are the numbers of the weights, NaN for no edge."""
    figure = new_figure(3.2 * len(weights), 2.2)
    for ax, weight in zip(figure.subplots(1, len(weights), squeeze=False)[0], weights, strict=True):
        rows, columns = weight.shape
        # Neighbouring weights get colours that differ: multiples of the golden ratio, wrapped.
        ax.imshow(weight.mul(0.618034).remainder(1), cmap="hsv", vmin=0, vmax=1, alpha=0.8)
        ax.set(xticks=[], yticks=[], xlabel=f"{columns} inputs", ylabel=f"{rows} outputs")
        for i in range(rows):
            for j in range(columns):
                if weight[i, j].isfinite():
                    ax.text(j, i, f"{int(weight[i, j])}", ha="center", va="center", fontsize=7)
    save_figure(figure, path)


def draw_displacement(path: Path) -> None:
    """Draw a matrix of displacement rank 1 and its displacement."""
    torch.manual_seed(1)
    layer = LowDisplacementRankLinear(IN_FEATURES, OUT_FEATURES, dtype=torch.float64)
    weight = layer.weight.detach()
    displacement = weight.roll(1, 0) - torch.nn.functional.pad(weight[:, 1:], (0, 1))
    figure = new_figure(6.4, 2.4)
    titles = ("W, full rank", "Z₁ W − W Z₀ = Gᵀ H, rank 1")
    for ax, matrix, title in zip(
        figure.subplots(1, 2), (weight, displacement), titles, strict=True
    ):
        limit = float(matrix.abs().max())
        ax.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[], title=title)
    save_figure(figure, path)


def main() -> None:
    """Draw all pictures."""
    torch.manual_seed(0)
    sizes = (OUT_FEATURES, IN_FEATURES)
    numbers = torch.arange(sum(sizes) - 1.0)
    draw_shared([toeplitz(numbers, *sizes)], ASSETS / "structure_toeplitz.png")
    draw_shared([hankel(numbers, *sizes)], ASSETS / "structure_hankel.png")
    wide = circulant(torch.arange(float(max(sizes))), *sizes)
    tall = circulant(torch.arange(float(max(sizes))), *reversed(sizes))
    draw_shared([wide, tall], ASSETS / "structure_circulant.png")
    colors = ChromaticLinear(IN_FEATURES, OUT_FEATURES, palette=5).colors
    draw_shared([colors.double()], ASSETS / "structure_chromatic.png")
    mask = torch.rand(sizes) < 0.25
    kept = torch.where(mask, mask.flatten().cumsum(0).view(sizes) - 1.0, torch.nan)
    draw_shared([kept], ASSETS / "structure_masked.png")
    draw_displacement(ASSETS / "structure_displacement.png")


if __name__ == "__main__":
    main()
