"""Checkpoints of a search: safetensors and JSON, whole or not there.

``state.json`` names the tensor file that belongs to it, its size and its checksum. It is renamed
into place last, so a process killed at any moment leaves the old checkpoint or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from structured_layers.errors import CheckpointError
from structured_layers.files import (
    DAMAGE,
    num_bytes,
    read_json,
    read_tensors,
    write_sealed_json,
    write_tensors,
)

FORMAT, VERSION = "structured-layers checkpoint", 2  # 1 had no checksum of the JSON
_TENSOR = "$tensor"
_NAME = re.compile(r"state-\d{1,20}\.safetensors")  # in this folder, whatever the file says


def write_checkpoint(folder: Path, state: Mapping[str, Any], *, number: int) -> None:
    """Replace the checkpoint in ``folder``.

    Args:
        folder: made if it is not there.
        state: nested dictionaries of tensors and plain JSON values.
        number: of the generation; it names the tensor file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    tree = _split(state, "", tensors)
    name = f"state-{number}.safetensors"
    digest = write_tensors(folder / name, tensors)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "tensors": name,
        "bytes": num_bytes(tensors),
        "sha256": digest,
        "state": tree,
    }
    write_sealed_json(folder / "state.json", data)
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote.

    Raises:
        CheckpointError: missing, cut off, changed, of a newer version, or not ours.
    """
    data = read_json(folder / "state.json", format_name=FORMAT, version=VERSION, sealed_since=2)
    try:
        name = str(data["tensors"])
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is no name of a tensor file")
        size = data.get("bytes")  # the first files of version 2 had none
        tensors = read_tensors(folder / name, digest=str(data["sha256"]), size=size)
        state: dict[str, Any] = _join(data["state"], tensors)
        return state
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"{folder} is not a whole checkpoint: {error} is missing") from error
    except DAMAGE as error:
        raise CheckpointError(f"{folder} is not a whole checkpoint: {error}") from error


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return ``value`` as JSON, its tensors moved to ``tensors`` under their paths."""
    if isinstance(value, Tensor):
        tensors[path] = value
        return {_TENSOR: path}
    if isinstance(value, Mapping):
        return {k: _split(v, f"{path}.{k}" if path else k, tensors) for k, v in value.items()}
    return value


def _join(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {_TENSOR}:
        return tensors[value[_TENSOR]]
    return {key: _join(item, tensors) for key, item in value.items()}
