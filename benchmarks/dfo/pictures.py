"""The pictures of the record: profiles and critical differences."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import scikit_posthocs

from structured_layers.errors import StructuredLayersError
from structured_layers.plots.figure import new_figure, save_figure

from .record import PROFILES, RECORD

DASHES = {"gaussian": ":", "orthogonal": "-", "hadamard": "--"}
COLORS = {
    "vanilla": "C7", "antithetic": "C0", "forward": "C1",
    "cma-es": "C2", "pgpe": "C3", "snes": "C4", "nelder-mead": "C5", "bfgs": "k",
}  # fmt: skip
AXES = {
    "data": ("evaluations / (n + 1)", "linear"),
    "performance": ("evaluations / fewest", "log"),
}


def draw_all(results: Path, pictures: Path) -> list[Path]:
    """Draw every picture of the record in one folder into another.

    Raises:
        StructuredLayersError: there is no record.
    """
    if not (results / RECORD).exists():
        raise StructuredLayersError(
            f"there is no record in {results}; make one with `python -m benchmarks.dfo`, or name "
            f"its folder by --out"
        )
    record = json.loads((results / RECORD).read_text())
    with (results / PROFILES).open() as file:
        rows = list(csv.DictReader(file))
    pictures.mkdir(parents=True, exist_ok=True)
    rankings = record["rankings"]
    settings = {name: rankings[name] for name in record["seeds"] if name in rankings}
    drawn = [
        draw_profiles(rows, kind, record["methods"], pictures / f"dfo_{kind}_profiles.png")
        for kind in AXES
    ]
    for name, chosen in (("", {"all": rankings["all"]}), ("_settings", settings)):
        if chosen:
            path = pictures / f"dfo_critical_difference{name}.png"
            drawn.append(draw_critical_differences(chosen, path))
    return drawn


def style(method: str) -> dict[str, Any]:
    """Return colour and dashes: the estimator's or reference's, and the directions'."""
    family, _, kind = method.rpartition("-")
    if kind in DASHES:
        return {"color": COLORS[family], "linestyle": DASHES[kind]}
    return {"color": COLORS[method], "linewidth": 1.0}


def draw_profiles(rows: list[dict[str, str]], kind: str, methods: list[str], path: Path) -> Path:
    """Draw the profiles of a kind: a row for each tolerance, a column for each setting."""
    rows = [row for row in rows if row["profile"] == kind]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    tolerances = list(dict.fromkeys(row["tolerance"] for row in rows))
    figure = new_figure(3.4 * len(settings) + 1.6, 2.6 * len(tolerances))
    axes = figure.subplots(len(tolerances), len(settings), sharex=True, sharey=True, squeeze=False)
    label, scale = AXES[kind]
    for tolerance, line in zip(tolerances, axes, strict=True):
        for setting, ax in zip(settings, line, strict=True):
            own = [r for r in rows if (r["setting"], r["tolerance"]) == (setting, tolerance)]
            places = [float(row["place"]) for row in own]
            for method in methods:
                ax.plot(places, [float(r[method]) for r in own], label=method, **style(method))
            ax.set(xscale=scale, ylim=(0, 1), title=f"{setting}, τ = {tolerance}")
            ax.grid(alpha=0.3)
        line[0].set_ylabel("share of problems solved")
    for ax in axes[-1]:
        ax.set_xlabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    return save_figure(figure, path)


def draw_critical_differences(rankings: dict[str, dict[str, Any]], path: Path) -> Path:
    """Draw the average ranks, bars joining methods that Nemenyi's test does not tell apart."""
    figure = new_figure(9, 3.2 * len(rankings))
    axes = figure.subplots(len(rankings), 1, squeeze=False)[:, 0]
    for ax, (name, ranking) in zip(axes, rankings.items(), strict=True):
        methods = ranking["methods"]
        scikit_posthocs.critical_difference_diagram(
            dict(zip(methods, ranking["average_ranks"], strict=True)),
            pd.DataFrame(ranking["p_values"], index=methods, columns=methods),
            ax=ax,
            label_fmt_left="{label} ({rank:.2f})",
            label_fmt_right="({rank:.2f}) {label}",
            label_props={"fontsize": 8},
            crossbar_props={"linewidth": 2, "color": "0.3"},
        )
        ax.set_title(
            f"{name}: average rank over {ranking['num_blocks']} cases, critical difference "
            f"{ranking['critical_difference']:.2f}",
            fontsize=9,
        )
    return save_figure(figure, path)
