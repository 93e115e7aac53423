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

from structured_layers import (
    ChromaticLinear,
    LowDisplacementRankLinear,
    SoftMaskedLinear,
    UnitActivations,
)
from structured_layers.layers.activations import KINDS
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


def draw_gates(path: Path) -> None:
    """Draw a soft-masked weight: the values, the gates, and their product."""
    layer = SoftMaskedLinear(IN_FEATURES, OUT_FEATURES)
    gates = torch.sigmoid(layer.logits.detach() / layer.temperature)
    figure = new_figure(9.6, 2.4)
    parts = {"values V": layer.values.detach(), "gates σ(S/α)": gates, "W": layer.weight.detach()}
    for ax, (title, matrix) in zip(figure.subplots(1, 3), parts.items(), strict=True):
        limit = float(matrix.abs().max())
        ax.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[], title=title)
    save_figure(figure, path)


def draw_functions(path: Path) -> None:
    """Draw the eleven functions that a unit may have."""
    figure = new_figure(9.6, 4.2)
    inputs = torch.linspace(-3, 3, 601)
    axes = figure.subplots(2, 6, sharex=True).flatten()
    for number, (ax, name) in enumerate(zip(axes, KINDS, strict=False)):
        units = UnitActivations(1, torch.tensor([number]))
        ax.plot(inputs, units(inputs[:, None])[:, 0])
        ax.set(title=name, ylim=(-3, 3))
        ax.grid(alpha=0.3)
    axes[-1].set_axis_off()
    save_figure(figure, path)


def draw_skips(path: Path) -> None:
    """Draw which values each group of a SkipMLP sees."""
    groups = {"hidden 1": 4, "hidden 2": 3, "outputs": 2}
    sources = IN_FEATURES - 4
    edges = torch.full((sum(groups.values()), sources + 4 + 3), torch.nan)
    row, seen = 0, sources
    for number, size in enumerate(groups.values()):
        edges[row : row + size, :seen] = number
        row, seen = row + size, seen + size
    figure = new_figure(6.4, 3.2)
    ax = figure.add_subplot()
    ax.imshow(edges, cmap="Set2", vmin=0, vmax=7)
    for place in (sources, sources + 4):
        ax.axvline(place - 0.5, color="black", linewidth=1)
    ax.set_xticks([2.5, 7.5, 11], [f"{sources} inputs", "hidden 1", "hidden 2"])
    ax.set_yticks([1.5, 5, 7.5], list(groups))
    ax.set(xlabel="from", ylabel="to")
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
    draw_gates(ASSETS / "structure_soft_masked.png")
    draw_functions(ASSETS / "structure_activations.png")
    draw_skips(ASSETS / "structure_skip_mlp.png")


if __name__ == "__main__":
    main()
