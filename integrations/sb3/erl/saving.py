"""The folder of an ERL or CERL training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sb3_contrib
import stable_baselines3

from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent import NetworkAutoencoder
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE, read_json, write_sealed_json

FORMAT, VERSION = "structured-layers hybrid", 1
DESCRIPTION, BUFFER, AUTOENCODER, STATE = "hybrid.json", "replay_buffer.pkl", "autoencoder", "state"


def save_hybrid(hybrid: Any, path: Path, *, replay_buffer: bool) -> None:
    """Write a folder, whole or not at all; see :meth:`Hybrid.save`."""
    _check_replaceable(path)
    with _new_folder(path) as folder:
        for number, model in enumerate(hybrid.models):
            model.save(folder / f"learner-{number}.zip")
        if replay_buffer:
            hybrid.models[0].save_replay_buffer(folder / BUFFER)
        if hybrid.population.autoencoder is not None:
            hybrid.population.autoencoder.save(folder / AUTOENCODER)
        write_checkpoint(folder / STATE, hybrid.state_dict(), number=hybrid.population.generation)
        description = {
            "format": FORMAT,
            "version": VERSION,
            "class": type(hybrid).__name__,
            "algorithms": [type(model).__name__ for model in hybrid.models],
            "autoencoder": hybrid.population.autoencoder is not None,
            "arguments": hybrid.arguments(),
        }
        write_sealed_json(folder / DESCRIPTION, description)


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
        if data["class"] != cls.__name__:
            raise CheckpointError(f"{path} was saved by {data['class']}, load it with that")
        arguments = dict(data["arguments"])
        if "env" not in arguments:
            arguments["env"] = population_env
        names = enumerate(data["algorithms"])
        files = [(path / f"learner-{i}.zip", _algorithm(name, algorithm)) for i, name in names]
        models = [kind.load(file, env=env, device=device) for file, kind in files]
        if with_buffer:
            models[0].load_replay_buffer(path / BUFFER)
        if data["autoencoder"]:
            arguments["autoencoder"] = NetworkAutoencoder.load(path / AUTOENCODER)
        hybrid = cls.of_learners(models, **arguments)
        hybrid.load_state_dict(read_checkpoint(path / STATE))
        return hybrid
    except StructuredLayersError:
        raise
    except DAMAGE as error:
        raise CheckpointError(f"{path} does not hold a whole {cls.__name__}: {error}") from error


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
    is_ours = not path.exists() or (path / DESCRIPTION).exists()
    if not is_ours and (not path.is_dir() or any(path.iterdir())):
        raise StructuredLayersError(
            f"{path} holds other files than those of ERL; choose a folder that is new or empty"
        )


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write into, and put it in the place of ``path`` at the end."""
    made = path.with_name(f".{path.name}.{os.getpid()}.new")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    made.mkdir(parents=True)
    try:
        yield made
        if path.exists():
            path.rename(old)
        made.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
