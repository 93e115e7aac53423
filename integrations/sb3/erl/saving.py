"""The folder of an ERL or CERL training.

``hybrid.json`` names the folder beside it that holds the save it describes. It is renamed into
place last, so a process killed at any moment leaves the old save or the new one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sb3_contrib
import stable_baselines3

from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent import NetworkAutoencoder
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE, read_json, write_sealed_json

from .learner_loading import load_learner, opened

FORMAT, VERSION = "structured-layers hybrid", 1
DESCRIPTION, BUFFER, AUTOENCODER, STATE = "hybrid.json", "replay_buffer.pkl", "autoencoder", "state"
_NAME = re.compile(r"save-\d{1,18}")  # beside the description, whatever that says


def save_hybrid(hybrid: Any, path: Path, *, replay_buffer: bool) -> None:
    """Write a folder, whole or not at all; see :meth:`Hybrid.save`."""
    _check_replaceable(path)
    path.mkdir(parents=True, exist_ok=True)
    folder = path / f"save-{_newest(path) + 1}"
    try:
        _write_parts(hybrid, folder, replay_buffer=replay_buffer)
        description = _description(hybrid, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    write_sealed_json(path / DESCRIPTION, description)
    for old in _saves(path):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _write_parts(hybrid: Any, folder: Path, *, replay_buffer: bool) -> None:
    folder.mkdir()
    for number, model in enumerate(hybrid.models):
        model.save(_learner(folder, number))
    if replay_buffer:
        hybrid.models[0].save_replay_buffer(folder / BUFFER)
    if hybrid.population.autoencoder is not None:
        hybrid.population.autoencoder.save(folder / AUTOENCODER)
    write_checkpoint(folder / STATE, hybrid.state_dict(), number=hybrid.population.generation)


def _description(hybrid: Any, folder: Path) -> dict[str, Any]:
    numbers = range(len(hybrid.models))
    return {
        "format": FORMAT,
        "version": VERSION,
        "class": type(hybrid).__name__,
        "folder": folder.name,
        "algorithms": [type(model).__name__ for model in hybrid.models],
        "learners": [_digest(_learner(folder, number)) for number in numbers],
        "autoencoder": hybrid.population.autoencoder is not None,
        "arguments": hybrid.arguments(),
    }


def load_hybrid(
    cls: Any,
    path: Path,
    env: Any,
    population_env: Callable[..., Any] | None,
    algorithm: Any,
    device: str,
    *,
    with_buffer: bool,
) -> Any:
    """Read what :func:`save_hybrid` wrote; see :meth:`Hybrid.load`."""
    data = read_json(path / DESCRIPTION, format_name=FORMAT, version=VERSION, sealed_since=1)
    try:
        folder = _save_of(cls, path, data)
        arguments = _with_environment(data["arguments"], population_env, path)
        shared = opened(env)
        models = [
            load_learner(_algorithm(name, algorithm), file, shared, device)
            for name, file in zip(data["algorithms"], _learner_files(folder, data), strict=True)
        ]
        if with_buffer:
            models[0].load_replay_buffer(folder / BUFFER)
        if data["autoencoder"]:
            arguments["autoencoder"] = NetworkAutoencoder.load(folder / AUTOENCODER)
        hybrid = cls.of_learners(models, **arguments)
        hybrid.load_state_dict(read_checkpoint(folder / STATE))
        return hybrid
    except StructuredLayersError:
        raise
    except DAMAGE as error:
        raise CheckpointError(f"{path} does not hold a whole {cls.__name__}: {error}") from error


def _save_of(cls: Any, path: Path, data: Mapping[str, Any]) -> Path:
    """Return the folder that a description names, if it is of this class."""
    if data["class"] != cls.__name__:
        raise CheckpointError(f"{path} was saved by {data['class']}, load it with that")
    if not _NAME.fullmatch(data["folder"]):
        raise ValueError(f"{data['folder'][:40]!r} is no name of a save")
    return path / str(data["folder"])


def _with_environment(
    saved: Mapping[str, Any], population_env: Callable[..., Any] | None, path: Path
) -> dict[str, Any]:
    """Return the arguments with the population's environment: files hold ids, no callables."""
    if "env" in saved and population_env is not None:
        raise StructuredLayersError(
            f"the population of {path} acts in {saved['env']}; leave population_env out"
        )
    if "env" not in saved and population_env is None:
        raise StructuredLayersError(
            f"the population of {path} acts in an environment that a callable makes, which no file "
            "holds; pass that callable as population_env="
        )
    return dict(saved) if "env" in saved else {**saved, "env": population_env}


def _learner_files(folder: Path, data: Mapping[str, Any]) -> list[Path]:
    """Return the learners' files, which are those that were saved."""
    files = [_learner(folder, number) for number in range(len(data["learners"]))]
    for file, digest in zip(files, data["learners"], strict=True):
        if _digest(file) != digest:
            raise CheckpointError(f"{file} was changed, or is of another training")
    return files


def _learner(folder: Path, number: int) -> Path:
    return folder / f"learner-{number}.zip"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _algorithm(name: str, given: Any) -> Any:
    """Return the class of a learner: files name those of Stable-Baselines3 only."""
    if given is not None:
        return given
    for package in (stable_baselines3, sb3_contrib):
        if name in package.__all__ and hasattr(getattr(package, name), "load"):
            return getattr(package, name)
    raise CheckpointError(
        f"the learner is a {name}, which Stable-Baselines3 has not; pass its class as algorithm="
    )


def _check_replaceable(path: Path) -> None:
    if not path.exists() or (path / DESCRIPTION).exists():
        return
    if not path.is_dir() or len(list(path.iterdir())) > len(_saves(path)):
        raise StructuredLayersError(
            f"{path} holds other files than those of ERL; choose a folder that is new or empty"
        )


def _saves(path: Path) -> list[Path]:
    """Return the folders of saves: the last whole one, and what killed ones left behind."""
    return [entry for entry in path.iterdir() if _NAME.fullmatch(entry.name)]


def _newest(path: Path) -> int:
    return max((int(entry.name.removeprefix("save-")) for entry in _saves(path)), default=0)
