"""The whole report of a run, and that of several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from structured_layers.errors import StructuredLayersError

from .recorded_run import read_run
from .report import Summary, summarize_run
from .report_page import write_page
from .run_comparison import draw_comparison, is_one_task, run_names
from .run_config import RunConfig
from .run_pictures import draw_run

PAGE = "index.html"


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        page: holds all of it.
        pictures: the files of the pictures.
        summaries: of the runs.
        notes: what a reader has to know.
    """

    page: Path
    pictures: tuple[Path, ...]
    summaries: tuple[Summary, ...]
    notes: tuple[str, ...]


def write_run_report(folder: Path, out: Path | None = None) -> Report:
    """Draw everything that a run recorded and write the page.

    Args:
        folder: of the run.
        out: folder of the report; None is ``report`` in the run's.

    Raises:
        CheckpointError: not a run, one without a finished generation, or damaged files.
        MissingDependencyError: matplotlib is not installed.
    """
    run = read_run(folder)
    out = _made(folder / "report" if out is None else out)
    pictures = list(draw_run(run, out))
    summary = summarize_run(folder)
    notes = []
    if run.config.is_searched and not run.snapshots:
        notes.append(
            "This run recorded no history of its structures, so only its last one is drawn; runs "
            "of this version record it."
        )
    row = {"run": str(folder), **_facts(summary), **_settings(run.config)}
    page = write_page(out / PAGE, run.title, [row], pictures, notes)
    return Report(page, tuple(p.path for p in pictures), (summary,), tuple(notes))


def write_comparison(folders: Sequence[Path], out: Path) -> Report:
    """Draw several runs side by side and write the page.

    Args:
        folders: of the runs, two at least.
        out: folder of the report.

    Raises:
        CheckpointError: not a run, one without a finished generation, or damaged files.
        StructuredLayersError: fewer than two runs, or the same one twice.
        MissingDependencyError: matplotlib is not installed.
    """
    if len({folder.resolve() for folder in folders}) < max(len(folders), 2):
        raise StructuredLayersError(
            f"a comparison needs two runs or more, each of them once, got "
            f"{', '.join(map(str, folders)) or 'none'}"
        )
    runs = [read_run(folder) for folder in folders]
    summaries = [summarize_run(folder) for folder in folders]
    out = _made(out)
    pictures = list(draw_comparison(runs, summaries, out))
    notes = []
    if not is_one_task(runs):
        notes.append(
            "These runs are of different tasks: their returns cannot be compared, so each has an "
            "axis of its own."
        )
    rows = [
        {"run": name, "folder": str(run.folder), **_facts(summary)}
        for name, run, summary in zip(run_names(runs), runs, summaries, strict=True)
    ]
    page = write_page(out / PAGE, f"{len(runs)} runs", rows, pictures, notes)
    return Report(page, tuple(p.path for p in pictures), tuple(summaries), tuple(notes))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StructuredLayersError(f"{folder} cannot be written: {error}") from error
    return folder


def _facts(summary: Summary) -> dict[str, str]:
    size = summary.size
    return {
        f"return over {summary.num_episodes} fresh episodes": (
            f"{summary.return_mean:.1f} ± {summary.return_std:.1f}"
        ),
        "weights": summary.weights,
        "bits (as the papers count)": f"{size.bits['paper']:,}",
        "environment steps": f"{summary.env_steps:,}",
        "training time": f"{summary.seconds:.0f} s",
    }


def _settings(config: RunConfig) -> dict[str, str]:
    """Return the settings that are not the defaults."""
    return {
        field.name.replace("_", " "): _written(getattr(config, field.name))
        for field in fields(RunConfig)
        if field.name in ("env", "structure", "seed", "total_steps")
        or (getattr(config, field.name) != field.default and field.name != "env_config")
        or (field.name == "env_config" and config.env_config)
    }


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:,}" if type(value) is int else str(value)
