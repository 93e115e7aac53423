"""The progress file of a run: a row per generation."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structured_layers.errors import CheckpointError
from structured_layers.files import write_bytes

COLUMNS = (
    "generation",
    "env_steps",
    "seconds",
    "return_mean",
    "return_best",
    "return_center",
    "num_weights",
    "controller_updates",
    "failed_candidates",
    "update_norm",
    "fitness_mean",
    "episode_steps_mean",
)


class ProgressFile:
    """``progress.csv``: appended to while the run goes on, cut back when it resumes.

    Args:
        path: the file; made with its header if it is not there.
    """

    def __init__(self, path: Path) -> None:
        """Make the file if needed."""
        self.path = path
        if not path.exists():
            self._write([])

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def cut(self, generation: int) -> None:
        """Drop the rows after ``generation``, a half-written last one included."""
        rows = [row for row in self.read() if int(row["generation"]) <= generation]
        if [int(row["generation"]) for row in rows] != list(range(1, generation + 1)):
            raise CheckpointError(
                f"{self.path} lacks rows before generation {generation} of the checkpoint"
            )
        self._write(rows)

    def read(self) -> list[dict[str, str]]:
        """Return all rows, less a half-written one."""
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return [row for row in csv.DictReader(file) if _is_complete(row)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CheckpointError(f"{self.path} is not the progress of a run: {error}") from error

    def _write(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, text.getvalue().encode())


def _is_complete(row: dict[str, str]) -> bool:
    return tuple(row) == COLUMNS and None not in row.values() and row["generation"].isdigit()
