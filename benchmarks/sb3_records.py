"""Reading the records of Stable-Baselines3 policies."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

Record = dict[str, Any]
SOLVED = 475.0  # CartPole-v1
SWEEP = "halfcheetah-sweep"
FIXED_COLORS = "halfcheetah-fixed-colors"  # the same model with colors that do not move
HIGHER_RATE = "halfcheetah-sweep-3e-4"
MASKED = "halfcheetah-sweep-masked"


def read_sb3_records(results: Path) -> list[Record]:
    """Return the records of single trainings, ordered by name."""
    found = []
    for path in sorted((results / "sb3").glob("*/record.json")):
        record = json.loads(path.read_text())
        if "bits" not in record:
            raise SystemExit(f"{path} has no sizes; rewrite_sizes of sb3_run.py counts them")
        with (path.parent / "progress.csv").open() as file:
            record["curve"] = [
                (int(r["env_steps"]), float(r["return_mean"])) for r in csv.DictReader(file)
            ]
        found.append({**record, "name": path.parent.name})
    return found


def read_sweep(results: Path, name: str = SWEEP) -> Record | None:
    """Return a finished sweep with the record of its model, None if either is missing."""
    folder = results / "sb3" / name
    if not (folder / "origin.json").exists():
        return None
    origin = json.loads((folder / "origin.json").read_text())
    model = folder.parent / origin["model"] / "record.json"
    if not model.exists():
        return None
    sweep = json.loads((folder / "sweep.json").read_text())
    return {**sweep, "folder": folder, "origin": origin, "model": json.loads(model.read_text())}


def dense_returns(sweep: Record) -> dict[str, float]:
    """Return what the dense model reached before and after fine-tuning."""
    row = next(row for row in sweep["rows"] if row["structure"]["layer"] == "dense")
    return {"before": row["distilled"]["mean"], "after": last_of(row)["mean"]}


def last_of(row: Record) -> dict[str, float]:
    """Return the return of a row's final policy."""
    found: dict[str, float] = row["tuned"] or row["distilled"]
    return found


def color_rows(sweep: Record | None) -> dict[int, Record]:
    """Return the rows of a sweep that share a palette, by its size, the largest first."""
    rows = [] if sweep is None else sweep["rows"]
    shared = [row for row in rows if row["structure"]["layer"] == "chromatic"]
    shared.sort(key=lambda row: -int(row["structure"]["num_colors"]))
    return {row["structure"]["num_colors"]: row for row in shared}


def grouped(records: list[Record], task: str) -> dict[tuple[str, str], list[Record]]:
    """Return a task's records by structure and hidden sizes, dense and small ones first."""
    groups: dict[tuple[str, tuple[int, ...]], list[Record]] = {}
    for record in sorted(records, key=lambda r: r["seed"]):
        if record["task"] == task:
            sizes = tuple(record["net_arch"] or (64, 64))  # of PPO's policies by default
            groups.setdefault((label_of(record["structure"]), sizes), []).append(record)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] != "dense", item[0]))
    return {(label, ", ".join(map(str, sizes))): group for (label, sizes), group in ordered}


def label_of(structure: dict[str, Any] | None) -> str:
    """Say a structure in words."""
    if structure is None:
        return "dense"
    sizes = {"num_colors": "colors", "num_edges": "edges"}
    words = [f"{structure[key]} {word}" for key, word in sizes.items() if key in structure]
    learned = structure.get("learn_colors") or structure.get("learn_mask")
    return ", ".join([structure["layer"], *words, *(["learned"] if learned else [])])


def mean_return(group: list[Record]) -> float:
    """Return the mean over the seeds."""
    return statistics.mean(record["return_mean"] for record in group)


def standard_error(group: list[Record]) -> float | None:
    """Return the standard error of the mean over the seeds, None for a single one."""
    if len(group) < 2:
        return None
    return statistics.stdev(record["return_mean"] for record in group) / len(group) ** 0.5


def mean_bits(group: list[Record]) -> float:
    """Return the mean size of the deployed actors, as an ideal coder stores them."""
    return statistics.mean(record["bits"]["entropy"] for record in group)


def solved_at(record: Record) -> int | None:
    """Return the steps of the first evaluation that solves CartPole."""
    return next((steps for steps, mean in record["curve"] if mean >= SOLVED), None)
