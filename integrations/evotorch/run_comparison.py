"""The pictures of several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from structured_layers.plots import plot_best_per_interval, plot_run_panels, plot_runs
from structured_layers.plots.return_against_bits import Point, plot_return_against_bits

from .recorded_run import RecordedRun, Rows
from .report import Summary
from .run_config import RunConfig
from .run_pictures import Picture

_BY_VALUE = ("env", "structure", "controller", "optimizer")
_DEFAULTS = {"controller": "regularized-evolution"}
MAX_NAMES = 4


def group_names(configs: Sequence[RunConfig], folders: Sequence[Path]) -> list[str]:
    """Name each run by the settings in which the runs differ, the seed not counted.

    Runs that differ in more than four settings are named by their folders.
    """
    different = [
        field.name
        for field in fields(RunConfig)
        if field.name != "seed" and any(
            getattr(config, field.name) != getattr(configs[0], field.name) for config in configs
        )
    ]  # fmt: skip
    if len(different) > MAX_NAMES:
        return [folder.name for folder in folders]
    if not different:
        return [f"{configs[0].env}, {configs[0].structure}"] * len(configs)
    return [_name(config, different) for config in configs]


def run_names(runs: Sequence[RecordedRun]) -> list[str]:
    """Name each run on its own: its group and its seed, and its folder if that is not enough."""
    groups = group_names([run.config for run in runs], [run.folder for run in runs])
    names = [f"{name}, seed {r.config.seed}" for name, r in zip(groups, runs, strict=True)]
    names = groups if len(set(groups)) == len(runs) else names
    return [
        name if names.count(name) == 1 else f"{name}, {run.folder}"
        for name, run in zip(names, runs, strict=True)
    ]


def draw_comparison(
    runs: Sequence[RecordedRun], summaries: Sequence[Summary], folder: Path
) -> Iterator[Picture]:
    """Draw all pictures of several runs into a folder, one after the other."""
    names, same = run_names(runs), is_one_task(runs)
    if same:
        yield Picture(
            plot_runs(_groups(runs), folder / "runs.png", title=runs[0].config.env),
            "Runs side by side", "The centre of each run.",
        )  # fmt: skip
    curves = {name: run.rows for name, run in zip(names, runs, strict=True)}
    path = plot_run_panels(curves, folder / "run_panels.png", same_scale=same)
    yield Picture(path, "Candidates of each run", "The bands hold half and nine tenths of the "
                  "candidates of a generation.")  # fmt: skip
    if not same:
        return
    best = {name: (rows, "return_best") for name, rows in curves.items()}
    starts = {name: run.start for name, run in zip(names, runs, strict=True)}
    path = folder / "best_per_interval.png"
    yield Picture(
        plot_best_per_interval(best, path, starts=starts, title=runs[0].config.env),
        "Best of each interval", "The highest return of a candidate in each twentieth of the "
        "environment steps of its search.",
    )  # fmt: skip
    if len({summary.size.bits["paper"] for summary in summaries}) > 1:
        yield _draw_sizes(names, summaries, folder)


def is_one_task(runs: Sequence[RecordedRun]) -> bool:
    """Return whether the returns of all runs are of one task."""
    first = runs[0].config
    return all(
        (run.config.env, run.config.env_config) == (first.env, first.env_config) for run in runs
    )


def _draw_sizes(names: list[str], summaries: Sequence[Summary], folder: Path) -> Picture:
    points = [
        Point(name, s.size.bits["paper"], s.return_mean, s.return_std / s.num_episodes**0.5)
        for name, s in zip(names, summaries, strict=True)
    ]
    path = plot_return_against_bits(
        points, folder / "return_against_bits.png", title=summaries[0].env,
        xlabel="bits, as the papers count",
    )  # fmt: skip
    return Picture(path, "Return against size", "Mean return over fresh episodes and its standard "
                   "error.")  # fmt: skip


def _groups(runs: Sequence[RecordedRun]) -> dict[str, list[Rows]]:
    groups: dict[str, list[Rows]] = {}
    names = group_names([run.config for run in runs], [run.folder for run in runs])
    for name, run in zip(names, runs, strict=True):
        groups.setdefault(name, []).append(run.rows)
    return groups


def _name(config: RunConfig, different: list[str]) -> str:
    parts = [_setting(name, getattr(config, name)) for name in different]
    return ", ".join(filter(None, parts)) or f"no {different[0].replace('_', ' ')}"


def _setting(name: str, value: Any) -> str:
    """Return a setting in words; nothing for one that is not set."""
    if value is None and name not in _DEFAULTS or value is False:
        return ""
    words = name.replace("_", " ")
    if value is True:
        return words
    if name in _BY_VALUE:
        return str(value or _DEFAULTS[name])
    if isinstance(value, tuple):
        return f"{words} {' '.join(map(str, value)) or 'none'}"
    if name.startswith("init_"):
        return f"{words} {Path(str(value)).name}"
    return f"{words} {value}"
