"""The progress file of a run: a row per generation."""

from __future__ import annotations

import contextlib
import csv
import hashlib
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
    "warned_candidates",
    "update_norm",
    "fitness_mean",
    "episode_steps_mean",
    "return_q05",
    "return_q25",
    "return_q50",
    "return_q75",
    "return_q95",
)

QUANTILES = {
    "return_q05": 0.05,
    "return_q25": 0.25,
    "return_q50": 0.5,
    "return_q75": 0.75,
    "return_q95": 0.95,
}
"""The columns that say how the candidates' returns are spread. Earlier runs do not have them."""

_EARLIER = COLUMNS[:-5]


class ProgressFile:
    """``progress.csv``: appended to while the run goes on, cut back when it resumes.

    A run that was begun with fewer columns goes on with those.

    Args:
        path: the file; made with its header if it is not there.
    """

    def __init__(self, path: Path) -> None:
        """Make the file if needed."""
        self.path = path
        if not path.exists():
            write_bytes(path, _header(COLUMNS))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row, the whole of it or nothing."""
        size, columns = self.path.stat().st_size, self._columns()
        row = {name: row[name] for name in columns}
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, columns, lineterminator="\n").writerow(row)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise

    def _columns(self) -> tuple[str, ...]:
        with self.path.open("rb") as file:
            return _EARLIER if file.readline() == _header(_EARLIER) else COLUMNS

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def mark(self, generation: int) -> dict[str, Any]:
        """Return where the row of ``generation`` ends, and the checksum of all up to there."""
        lines = self.path.read_bytes().splitlines(keepends=True)[: generation + 1]
        return _mark(b"".join(lines))

    def cut(self, mark: Mapping[str, Any]) -> None:
        """Drop what follows a mark, a half-written row included.

        Raises:
            CheckpointError: what comes before it is gone or was changed.
        """
        try:
            if not self.path.is_file():
                raise OSError("it is no file")
            with self.path.open("rb") as file:
                data = file.read(max(0, min(mark["bytes"], self.path.stat().st_size)))
        except OSError as error:
            raise CheckpointError(f"{self.path} is not the progress of a run: {error}") from error
        if _mark(data) != mark:
            raise CheckpointError(f"{self.path} was changed, or lacks rows that the checkpoint has")
        write_bytes(self.path, data)

    def read(self) -> list[dict[str, str]]:
        """Return all rows, less a half-written one."""
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return [row for row in csv.DictReader(file) if _is_complete(row)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CheckpointError(f"{self.path} is not the progress of a run: {error}") from error


def _header(columns: tuple[str, ...]) -> bytes:
    return (",".join(columns) + "\n").encode()


def _mark(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _is_complete(row: dict[str, str]) -> bool:
    return (
        tuple(row) in (COLUMNS, _EARLIER)
        and None not in row.values()
        and row["generation"].isdigit()
    )
