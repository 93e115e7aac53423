"""The tables and the picture of docs/erl.md, made from the records of benchmarks/erl.py.

python benchmarks/erl_tables.py     # draws the picture; readme_tables.py writes the tables
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, ROOT
from markdown_tables import table

from structured_layers.plots.figure import color, new_figure, save_figure

Record = dict[str, Any]
GROUP = "erl"
PICTURE = ROOT / "docs" / "assets" / "erl.png"
MISSING = ["Nothing is recorded yet.", ""]
NAMES = {
    "td3": "TD3 alone",
    "erl": "ERL, dense population every 1,000 steps",
    "erl-seldom": "ERL, dense population every 5,000 steps",
    "erl-latent": "ERL, latent population",
    "cerl": "CERL, dense population",
    "cerl-latent": "CERL, latent population",
}


def erl_parts(records: dict[str, Record]) -> dict[str, list[str]]:
    """Return the parts of the page by the names of their markers.

    Args:
        records: by their names.
    """
    return {"returns": _returns(records), "costs": _costs(records), "commands": _commands(records)}


def _returns(records: dict[str, Record]) -> list[str]:
    rows = [
        (
            _title(name),
            str(record["seed"]),
            f"{record['return_mean']:,.0f} ± {record['return_std']:,.0f}",
            record["chosen"],
            " / ".join(f"{value:,.0f}" for value in _learners(record)),
            _or_dash(record["final_returns"].get("elite")),
        )
        for name, record in _sorted(records)
    ]
    header = ("method", "seed", "return", "of", "each learner", "population's elite")
    return table(header, rows) if rows else MISSING


def _costs(records: dict[str, Record]) -> list[str]:
    rows = []
    for name, record in _sorted(records):
        last = record["curve"][-1]
        share = last.get("evolution_share")
        rows.append(
            (
                _title(name),
                str(record["seed"]),
                f"{last['learner_steps']:,}",
                f"{last.get('population_steps', 0):,}",
                f"{last['gradient_steps']:,}",
                f"{record['training_seconds'] / 60:.0f} min",
                "–" if share is None else f"{share:.0%}",
            )
        )
    header = (
        "method", "seed", "steps of the learners", "of the population", "gradient steps",
        "training time", "evolutionary side",
    )  # fmt: skip
    return table(header, rows) if rows else MISSING


def _commands(records: dict[str, Record]) -> list[str]:
    lines = sorted({record["command"] for record in records.values()})
    return ["```", *lines, "```", ""] if lines else MISSING


def _sorted(records: dict[str, Record]) -> list[tuple[str, Record]]:
    order = list(NAMES)
    return sorted(records.items(), key=lambda item: (order.index(_method(item[0])), item[0]))


def _method(name: str) -> str:
    """Return the method of ``hopper-METHOD-seedN``."""
    return name.partition("-")[2].rpartition("-seed")[0]


def _title(name: str) -> str:
    return NAMES[_method(name)]


def _learners(record: Record) -> list[float]:
    finals = record["final_returns"]
    return [float(value) for name, value in finals.items() if name.startswith("learner")]


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def deployed_curve(curve: list[Record]) -> tuple[list[int], list[float]]:
    """Return steps and the return of the policy that was best one evaluation before.

    A maximum over the policies of one evaluation would be what nobody gets: it grows with their
    number by chance alone.
    """
    steps, returns = [], []
    for before, row in pairwise(curve):
        chosen = max(before["returns"], key=before["returns"].get)
        steps.append(row["learner_steps"])
        returns.append(row["returns"][chosen])
    return steps, returns


def draw(records: dict[str, Record], path: Path) -> Path:
    """Draw the return of what one would have deployed: the mean and the range over the seeds."""
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    for number, (method, title) in enumerate(NAMES.items()):
        curves = [r["curve"] for name, r in records.items() if _method(name) == method]
        if not curves:
            continue
        length = min(len(curve) for curve in curves)
        drawn = [deployed_curve(curve[:length]) for curve in curves]
        steps = np.mean([each for each, _ in drawn], axis=0)
        returns = np.array([each for _, each in drawn])
        lowest, highest = returns.min(axis=0), returns.max(axis=0)
        axes.plot(steps, returns.mean(axis=0), color=color(number), label=title)
        axes.fill_between(steps, lowest, highest, color=color(number), alpha=0.15)
    axes.set(
        xlabel="environment steps of the learners",
        ylabel="return over 10 episodes",
        title="Hopper-v5, actors of 32 tanh units",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def main() -> None:
    """Draw the picture of the records there are."""
    folders = sorted((RESULTS / GROUP).glob("*/record.json"))
    records = {path.parent.name: json.loads(path.read_text()) for path in folders}
    if not records:
        raise SystemExit(f"there are no records in {RESULTS / GROUP}")
    print(draw(records, PICTURE))


if __name__ == "__main__":
    main()
