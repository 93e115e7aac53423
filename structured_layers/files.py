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
    """Write tensors as safetensors at one blow and return the SHA-256 of their content.

    The file's metadata hold it as well, so that damage is found wherever the file is read.
    """
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    digest = hashlib.sha256(save(plain)).hexdigest()
    write_bytes(path, save(plain, metadata={"sha256": digest}))
    return digest


def read_tensors(path: Path, *, digest: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        digest: the SHA-256 that the content must have; None takes the one in the file.

    Raises:
        CheckpointError: missing, cut off or changed.
    """
    try:
        data = path.read_bytes()
        tensors = load(data)
        stored = _metadata(data).get("sha256")
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is missing, cut off or not safetensors: {error}") from error
    found = hashlib.sha256(save(tensors)).hexdigest()
    if found != stored or digest not in (None, found):
        raise CheckpointError(f"{path} was changed, or is not ours: its checksum is wrong")
    return tensors


def _metadata(data: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file, whose header follows its length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata
