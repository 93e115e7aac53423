"""Files that are whole or not there: written to a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .errors import CheckpointError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file at one blow: after a crash there is the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary_files(folder: Path) -> None:
    """Remove what killed writes left behind in a folder and those below it."""
    for path in folder.rglob(".*.tmp"):
        if path.is_file():
            path.unlink(missing_ok=True)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file at one blow."""
    write_bytes(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, *, format_name: str, version: int) -> dict[str, Any]:
    """Read a JSON file of ours.

    Args:
        path: the file.
        format_name: what its ``format`` must be.
        version: the newest ``version`` that can be read.

    Raises:
        CheckpointError: missing, cut off, not ours or of a newer version.
    """
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist, so this is not a {format_name}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is cut off or not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != format_name:
        raise CheckpointError(f"{path} is not a {format_name}")
    found = data.get("version")
    if not isinstance(found, int) or found > version:
        raise CheckpointError(
            f"{path} has version {found}, this structured-layers reads up to {version}; "
            "upgrade structured-layers"
        )
    return data


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors at one blow and return the SHA-256 of the file."""
    data = save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path, *, digest: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        digest: the SHA-256 it must have; None does not ask.

    Raises:
        CheckpointError: missing, cut off or changed.
    """
    try:
        data = path.read_bytes()
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise CheckpointError(f"{path} is cut off or was changed: its checksum is wrong")
        return load(data)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing, cut off or not safetensors: {error}") from error
