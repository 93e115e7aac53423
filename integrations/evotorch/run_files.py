"""What makes a folder a run: ``config.json``, and the lock of who trains it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import read_json, write_json

from .run_config import RunConfig

FORMAT, VERSION = "structured-layers run", 1


def write_run_config(folder: Path, config: RunConfig) -> None:
    """Write a run's settings."""
    data = {"format": FORMAT, "version": VERSION, "config": config.to_json()}
    write_json(folder / "config.json", data)


def read_run_config(folder: Path) -> RunConfig:
    """Read a run's settings.

    Raises:
        CheckpointError: not a run, or one that is cut off or of a newer version.
    """
    data = read_json(folder / "config.json", format_name=FORMAT, version=VERSION)
    if not isinstance(data.get("config"), dict):
        raise CheckpointError(f"{folder}/config.json holds no settings")
    try:
        return RunConfig.from_json(data["config"])
    except TypeError as error:
        raise CheckpointError(f"{folder}/config.json holds unusable settings: {error}") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder; it falls with the process, however that ends.

    Raises:
        StructuredLayersError: another process holds it.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise StructuredLayersError(
            f"{folder} is being trained by another process; wait until that has ended"
        ) from error
