"""What makes a folder a run: ``config.json``, and the lock of who trains it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from glob import escape
from pathlib import Path

from filelock import FileLock, Timeout

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE, json_digest, read_json, write_json

from .run_config import RunConfig

FORMAT, VERSION = "structured-layers run", 2

# What a run of version 1 did not write down: it had these settings of RunConfig's defaults.
_NEW_IN_2 = (
    "estimator", "directions", "num_top", "top_rule", "baseline", "slope", "weight_decay",
    "learning_rate_schedule", "learning_rate_final", "stdev_schedule", "stdev_final",
    "alive_bonus", "zero_init",
)  # fmt: skip

# What a run of version 2 always wrote down. Settings that came later change nothing where they have
# their defaults.
_OF_2 = (
    *_NEW_IN_2, "env", "env_config", "structure", "hidden", "num_colors", "num_edges", "controller",
    "controller_population", "output_bias", "total_steps", "seed", "popsize",
    "center_evaluations", "stdev", "learning_rate", "optimizer", "ranking_method",
    "observation_normalization", "num_episodes",
)  # fmt: skip
_LATER = {field.name: field.default for field in fields(RunConfig) if field.name not in _OF_2}


def write_run_config(folder: Path, config: RunConfig) -> None:
    """Write a run's settings."""
    data = {"format": FORMAT, "version": VERSION, "config": config.to_json()}
    write_json(folder / "config.json", data)


def read_run_config(folder: Path, *, to_resume: bool = False) -> RunConfig:
    """Read a run's settings.

    Args:
        folder: the run's.
        to_resume: whether the run is to go on; one of an earlier version would not compute the
            numbers that it computed so far.

    Raises:
        CheckpointError: not a run, or one that is cut off, of a newer version, or of an earlier one
            and ``to_resume``.
    """
    data = read_json(folder / "config.json", format_name=FORMAT, version=VERSION)
    settings = data.get("config")
    if not isinstance(settings, dict):
        raise CheckpointError(f"{folder}/config.json holds no settings")
    if data["version"] < VERSION:
        if to_resume:
            raise CheckpointError(
                f"{folder} was made by an earlier structured-layers: its settings have version "
                f"{data['version']}, those of today {VERSION}, and today's searches compute other "
                f"numbers; resume it with the version that made it, or train anew into another "
                f"folder. `structured-layers evaluate` and `report` still work"
            )
        defaults = {name: getattr(RunConfig, name) for name in _NEW_IN_2}
        settings = defaults | {"env_config": {}} | settings
    settings = _LATER | settings
    try:
        return RunConfig.from_json(settings)
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(f"{folder}/config.json holds unusable settings: {error}") from error


def config_digest(config: RunConfig) -> str:
    """Return what a checkpoint remembers of the settings that it belongs to."""
    settings = config.to_json()
    unset = {name for name, default in _LATER.items() if settings[name] == default}
    return json_digest({name: value for name, value in settings.items() if name not in unset})


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside this one to write into, which takes its name once all is written.

    Raises:
        StructuredLayersError: it cannot be written; nothing is left behind.
    """
    for leftover in folder.parent.glob(f".{escape(folder.name)}.*.tmp"):  # of a killed creation
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(folder)
    except OSError as error:
        raise StructuredLayersError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writing(folder: Path, saved_generation: int) -> Iterator[None]:
    """Say of a file of a run that cannot be written what is left and how to go on."""
    try:
        yield
    except OSError as error:
        raise StructuredLayersError(
            f"{folder} cannot be written: {error}; its checkpoint of generation "
            f"{saved_generation} is whole: {_advice(error)}, then go on with "
            f"`structured-layers resume {folder}`"
        ) from error


def _advice(error: OSError) -> str:
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return f"move {error.filename or 'what is in the way'} out of the way"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "allow writing there"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "make room"
    return "mend that"


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
