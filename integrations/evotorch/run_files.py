"""What makes a folder a run: ``config.json``, and the lock of who trains it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE, json_digest, read_json, write_json

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
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(f"{folder}/config.json holds unusable settings: {error}") from error


def config_digest(config: RunConfig) -> str:
    """Return what a checkpoint remembers of the settings that it belongs to."""
    return json_digest(config.to_json())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder; it falls with the process, however that ends.

    Raises:
        StructuredLayersError: another process holds it, or it is no file that can be locked.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StructuredLayersError(
            f"{folder} is being trained by another process; wait until that has ended"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{folder}/.lock is not the lock of a run: {error}") from error
    try:
        yield
    finally:
        lock.release()
