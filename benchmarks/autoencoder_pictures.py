"""Draw what benchmarks/weight_autoencoders.py recorded.

    python benchmarks/autoencoder_pictures.py

Writes docs/assets/weight_autoencoders_*.png: the plots of figure 3 of the paper on weight
autoencoders (losses on training and validation networks, decoded against input returns), for each
layer in isolation and for both, and the ratio of the returns over the latent size.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from autoencoder_cases import DRAWN, EVERY_SIZE, Case, layer_sizes
from autoencoder_tables import ratios, sizes_in
from machine import RESULTS, ROOT

from structured_layers.plots.figure import color, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = dict[str, Any]
TITLES = ("first layer", "second layer", "both layers")


def draw_training(cases: dict[str, Record], groups: str, aligned: bool, path: Path) -> None:
    """Draw losses above and returns below, a column for each layer and one for both."""
    figure = new_figure(10.2, 6.4)
    axes = figure.subplots(2, 3)
    for column, (title, sizes) in enumerate(zip(TITLES, DRAWN, strict=True)):
        case = cases.get(Case("all", groups, sizes, aligned, "autoencoder").name)
        if case is None:
            continue
        numbers = " + ".join(str(size) for _, size in sizes)
        draw_losses(axes[0][column], case)
        axes[0][column].set(title=f"{title}, latent size {numbers}")
        draw_returns(axes[1][column], case)
    axes[0][0].set(ylabel="squared distance of the outputs")
    axes[1][0].set(ylabel="return of the decoded policy")
    axes[0][0].legend(frameon=False)
    axes[1][0].legend(frameon=False)
    save_figure(figure, path)


def draw_losses(ax: Axes, case: Record) -> None:
    """Draw the losses over the steps, with a line where the autoencoder was kept."""
    looks = case["looks"]
    ax.plot(looks["step"], looks["train"], color=color(0), label="training")
    ax.plot(looks["step"], looks["validation"], color=color(1), label="validation")
    ax.axvline(case["best_step"], color=color(6), linestyle=":", label="kept")
    ax.set(xlabel="steps", ylim=(0, None))
    ax.grid(alpha=0.3)


def draw_returns(ax: Axes, case: Record) -> None:
    """Draw a point for each policy, training and test, and the line where nothing is lost."""
    largest = 1.05 * max(max(case[part]["input"]) for part in ("train", "test"))
    ax.plot([0, largest], [0, largest], color=color(6), linewidth=1)
    drawn = (
        ("train", "decoded", "training"),
        ("test", "decoded", "test"),
        ("test", "refined", "test, code refined"),
    )
    for number, (part, kind, label) in enumerate(drawn):
        points = {"s": 26, "marker": "o+x"[number], "color": color(number), "alpha": 0.8}
        ax.scatter(case[part]["input"], case[part][kind], label=label, **points)
    ax.set(xlabel="return of the input policy", xlim=(0, largest), ylim=(0, None))
    ax.grid(alpha=0.3)


def draw_sizes(record: Record, path: Path) -> None:
    """Draw median and quartiles of the ratio over the latent size, a column for each layer."""
    figure = new_figure(10.2, 4.0)
    axes = figure.subplots(1, 3, sharey=True)
    sizes = sizes_in(record)
    for column, (ax, title) in enumerate(zip(axes, TITLES, strict=True)):
        lines = [(m, a) for m in EVERY_SIZE for a in (False, True)]
        for number, (method, aligned) in enumerate(lines):
            names = {
                size: Case("all", "networks", layer_sizes(size)[column], aligned, method).name
                for size in sizes
            }
            found = {s: record["cases"][n] for s, n in names.items() if n in record["cases"]}
            quartiles = [
                np.quantile(ratios(c, "decoded"), (0.25, 0.5, 0.75)) for c in found.values()
            ]
            if not quartiles:
                continue
            low, middle, high = np.array(quartiles).T
            places = np.log2(list(found)) + 0.06 * (number - 2.5)  # beside each other
            ax.errorbar(
                places, middle, (middle - low, high - middle), color=color(number // 2), capsize=2,
                linestyle="--" if aligned else "-", marker="o", markersize=3,
                label=f"{method}, aligned" if aligned else method,
            )  # fmt: skip
        ax.set_xticks(np.log2(sizes), [str(size) for size in sizes])
        note = " of the first layer" if column == 2 else ""
        ax.set(title=title, xlabel=f"latent size{note}")
        ax.grid(alpha=0.3)
    axes[0].set(ylabel="decoded return / input return", ylim=(0, None))
    handles, labels = axes[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    save_figure(figure, path)


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", type=Path, default=RESULTS / "weight_autoencoders.json")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "assets")
    args = parser.parse_args()
    record = json.loads(args.record.read_text())
    draw_sizes(record, args.out / "weight_autoencoders_sizes.png")
    for groups, aligned in (("networks", False), ("runs", True)):
        path = args.out / f"weight_autoencoders_by_{groups}.png"
        draw_training(record["cases"], groups, aligned, path)


if __name__ == "__main__":
    main()
