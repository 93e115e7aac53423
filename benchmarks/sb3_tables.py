"""The tables of the Stable-Baselines3 records, as lines of Markdown."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

from markdown_tables import table

Record = dict[str, Any]
SOLVED = 475.0  # CartPole-v1
SWEEP = "halfcheetah-sweep"
GOALS = {17: 0.97, 5: 0.95, 3: 0.90, 2: 0.75}  # colours, share of the dense return


def read_sb3_records(results: Path) -> list[Record]:
    """Return the records of single trainings, ordered by name."""
    found = []
    for path in sorted((results / "sb3").glob("*/record.json")):
        record = json.loads(path.read_text())
        with (path.parent / "progress.csv").open() as file:
            record["curve"] = [
                (int(r["env_steps"]), float(r["return_mean"])) for r in csv.DictReader(file)
            ]
        found.append({**record, "name": path.parent.name})
    return found


def read_sweep(results: Path) -> Record | None:
    """Return the sweep with where it comes from, None if there is none."""
    folder = results / "sb3" / SWEEP
    if not (folder / "origin.json").exists():
        return None
    sweep = json.loads((folder / "sweep.json").read_text())
    source = json.loads((folder / "origin.json").read_text())
    model = json.loads((folder.parent / source["model"] / "record.json").read_text())
    return {**sweep, "origin": source, "model": model}


def sweep_table(sweep: Record | None, names: tuple[str, ...] = ()) -> list[str]:
    """Return the rows of a sweep, or those of the given names."""
    if sweep is None:
        return []
    dense, rows = dense_returns(sweep), []
    for row in sweep["rows"]:
        if names and row["name"] not in names:
            continue
        last = row["tuned"] or row["distilled"]
        rows.append(
            (
                row["name"],
                f"{row['weights']:,}",
                f"{row['bits']['entropy']:,}",
                returns(row["projected"]),
                returns(row["distilled"]),
                returns(last),
                f"{last['mean'] / dense['before']:.1%}",
                f"{last['mean'] / dense['after']:.1%}",
            )
        )
    header = (
        "structure", "weights", "bits", "projected", "distilled", "fine-tuned",
        "of the dense model", "of the dense model, fine-tuned",
    )  # fmt: skip
    return table(header, rows)


def dense_returns(sweep: Record) -> dict[str, float]:
    row = next(row for row in sweep["rows"] if row["structure"]["layer"] == "dense")
    return {"before": row["distilled"]["mean"], "after": row["tuned"]["mean"]}


def returns(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:,.0f} ± {value['std']:,.0f}"


def sweep_sentences(sweep: Record | None) -> list[str]:
    """Say from which model the sweep started and which shares were asked for."""
    if sweep is None:
        return []
    model, settings = sweep["model"], sweep["settings"]
    dense, by_colors = dense_returns(sweep), {}
    for row in sweep["rows"]:
        if row["structure"]["layer"] == "chromatic":
            by_colors[row["structure"]["num_colors"]] = row["tuned"]["mean"]
    verdicts = [
        f"{colors} colors {by_colors[colors] / dense['before']:.1%} (goal {goal:.0%})"
        for colors, goal in GOALS.items()
        if colors in by_colors
    ]
    return [
        f"{model['algo'].upper()} on {model['env']}, seed {model['seed']}, one model of "
        f"{model['env_steps']:,} steps ({model['training_seconds']:,.0f} s), "
        f"{model['return_mean']:,.0f} ± {model['return_std']:,.0f} over {model['num_episodes']} "
        f"episodes. Each row: {settings['fine_tune_steps']:,} steps of fine-tuning, "
        f"{settings['num_episodes']} episodes in every evaluation (mean ± standard deviation over "
        "episodes), one seed.",
        "",
        f"Share of the dense model's return: {'; '.join(verdicts)}.",
        "",
    ]


def training_table(records: list[Record], task: str) -> list[str]:
    """Return a row for each structure and width of a task, its seeds together."""
    groups = grouped([record for record in records if record["task"] == task])
    if not groups:
        return []
    dense = {arch: mean_return(g) for (label, arch), g in groups.items() if label == "dense"}
    rows = []
    for (label, arch), group in groups.items():
        means = [record["return_mean"] for record in group]
        error = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else None
        share = mean_return(group) / dense[arch] if arch in dense and dense[arch] > 0 else None
        rows.append(
            (
                label,
                arch,
                f"{group[0]['weights']:,}",
                f"{statistics.mean(r['bits']['entropy'] for r in group):,.0f}",
                "; ".join(f"{mean:,.1f}" for mean in means),
                f"{mean_return(group):,.1f}" + (f" ± {error:,.1f}" if error is not None else ""),
                "" if share is None else f"{share:.1%}",
                *solved_cells(group, task),
            )
        )
    header = (
        "actor", "hidden", "weights", "bits", "return of each seed", "mean ± standard error",
        "of dense", *(("steps to 475, each seed",) if task == "cartpole" else ()),
    )  # fmt: skip
    return table(header, rows)


def solved_cells(group: list[Record], task: str) -> tuple[str, ...]:
    if task != "cartpole":
        return ()
    return ("; ".join(f"{steps:,}" if steps else "never" for steps in map(solved_at, group)),)


def solved_at(record: Record) -> int | None:
    """Return the steps of the first evaluation that solves CartPole."""
    return next((steps for steps, mean in record["curve"] if mean >= SOLVED), None)


def grouped(records: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """Return records by structure and hidden sizes, dense ones first, ordered by seed."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["structure"] is not None, r["seed"])):
        arch = ", ".join(map(str, record["net_arch"] or [64, 64]))
        groups.setdefault((label_of(record["structure"]), arch), []).append(record)
    return dict(sorted(groups.items(), key=lambda item: (item[0][0] != "dense", item[0])))


def label_of(structure: dict[str, Any] | None) -> str:
    """Say a structure in words."""
    if structure is None:
        return "dense"
    sizes = {"num_colors": "colors", "num_edges": "edges"}
    words = [f"{structure[key]} {word}" for key, word in sizes.items() if key in structure]
    learned = structure.get("learn_colors") or structure.get("learn_mask")
    return ", ".join([structure["layer"], *words, *(["learned"] if learned else [])])


def mean_return(group: list[Record]) -> float:
    return statistics.mean(record["return_mean"] for record in group)
