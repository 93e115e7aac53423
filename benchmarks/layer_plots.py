"""Pictures of the times of layers."""

from __future__ import annotations

from pathlib import Path

from layer_limits import Row

from structured_layers.plots.figure import new_figure, save_figure

SHOWN = ("Toeplitz", "Hankel", "circulant", "toeplitz rank 1", "toeplitz rank 2", "chromatic")


def plot_ratios(rows: list[Row], path: Path) -> Path:
    """Draw the speed over nn.Linear's by size, a column for each batch and a row for each mode."""
    batches = sorted({row.batch for row in rows})
    modes = sorted({row.mode for row in rows})
    dtype = rows[0].dtype
    figure = new_figure(4 * len(batches), 3 * len(modes) + 0.6)
    axes = figure.subplots(len(modes), len(batches), sharex=True, sharey=True, squeeze=False)
    for mode, line in zip(modes, axes, strict=True):
        for batch, ax in zip(batches, line, strict=True):
            for number, layer in enumerate(SHOWN):
                points = [
                    (r.in_features, 1 / r.ratio)
                    for r in rows
                    if (r.layer, r.batch, r.mode, r.dtype) == (layer, batch, mode, dtype)
                    and r.in_features == r.out_features
                ]
                if points:
                    ax.plot(
                        *zip(*sorted(points), strict=True), "o-", label=layer, color=f"C{number}"
                    )
            ax.axhline(1, color="0.3", linewidth=0.8)
            ax.set(xscale="log", yscale="log", title=f"{mode}, batch {batch}")
            ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("inputs = outputs")
    for line in axes:
        line[0].set_ylabel("times as fast as nn.Linear")
    axes[0, -1].legend(fontsize=7)
    return save_figure(figure, path)
