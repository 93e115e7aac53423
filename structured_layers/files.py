"""Files that are whole or not there: written to a temporary name, then renamed.

What is read may be damaged in any way, so that sizes are checked before anything is read, and JSON
files carry the checksum of what they say as tensor files do.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .errors import CheckpointError, StructuredLayersError

MAX_JSON = 2**20
"""Bytes of the largest JSON file or safetensors header that is read or written; what a policy or a
search has is some ten kilobytes. A megabyte of junk takes less than a second to refuse."""

# What Python, PyTorch and safetensors raise for data that are not what they should be; a
# RecursionError, for JSON that is nested too deep, is a RuntimeError, and a MemoryError is raised
# for a file that does not fit.
DAMAGE: tuple[type[Exception], ...] = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, SafetensorError),
)

_SEAL = "seal"


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
    """Write a JSON file at one blow.

    Raises:
        StructuredLayersError: it would be larger than what is read.
    """
    text = (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
    if len(text) > MAX_JSON:
        raise StructuredLayersError(
            f"{path} would have {len(text)} bytes, at most {MAX_JSON} are read; keep large data in "
            "a file of its own and name that"
        )
    write_bytes(path, text)


def write_sealed_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file at one blow, with the checksum of what it says."""
    write_json(path, {**data, _SEAL: json_digest(data)})


def json_digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what JSON data say, less their own seal, in whatever layout."""
    content = {key: value for key, value in data.items() if key != _SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_json(
    path: Path, *, format_name: str, version: int, sealed_since: int | None = None
) -> dict[str, Any]:
    """Read a JSON file of ours.

    Args:
        path: the file.
        format_name: what its ``format`` must be.
        version: the newest ``version`` that can be read.
        sealed_since: the first version that :func:`write_sealed_json` wrote, None for no version.

    Raises:
        CheckpointError: missing, cut off, changed, not ours or of a newer version.
    """
    try:
        data = json.loads(_read_regular(path, MAX_JSON))
        seal = json_digest(data) if isinstance(data, dict) else None
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist, so this is not a {format_name}") from error
    except DAMAGE as error:
        raise CheckpointError(f"{path} is cut off or not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != format_name:
        raise CheckpointError(f"{path} is not a {format_name}")
    found = data.get("version")
    if type(found) is not int or found > version:
        raise CheckpointError(
            f"{path} has version {str(found)[:40]}, this structured-layers reads up to {version}; "
            "upgrade structured-layers"
        )
    is_sealed = sealed_since is not None and (_SEAL in data or found >= sealed_since)
    if is_sealed and data.get(_SEAL) != seal:
        raise CheckpointError(f"{path} was changed, or is not ours: its checksum is wrong")
    return data


def _read_regular(path: Path, max_bytes: int) -> bytes:
    """Read a file, but no pipe that never ends and nothing that does not fit into the memory."""
    size = _regular_size(path)
    if size > max_bytes:
        raise OSError(f"it has {size} bytes, at most {max_bytes} are read")
    return path.read_bytes()


def _regular_size(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    return status.st_size


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, belongs_to: str | None = None
) -> str:
    """Write tensors as safetensors at one blow and return the SHA-256 of their content.

    The file's metadata hold it as well, so that damage is found wherever the file is read, and
    ``belongs_to``, the digest of the file that describes the tensors.
    """
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    content = save(plain)
    digest = hashlib.sha256(content).hexdigest()
    metadata = {"sha256": digest}
    if belongs_to is not None:
        metadata["belongs_to"] = belongs_to
    write_bytes(path, _with_metadata(content, metadata))
    return digest


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """Return a safetensors file with metadata in their order, which ``save`` would shuffle."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = {"__metadata__": metadata, **json.loads(content[8:start])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers behind are aligned
    return len(text).to_bytes(8, "little") + text + content[start:]


def num_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Return how many bytes the values of tensors take, in a file as in memory."""
    return sum(t.numel() * t.element_size() for t in tensors.values())


def read_tensors(
    path: Path,
    *,
    digest: str | None = None,
    size: int | None = None,
    belongs_to: str | None = None,
) -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: the file.
        digest: the SHA-256 that the content must have; None takes the one in the file.
        size: :func:`num_bytes` of the content, checked before it is read; None takes any.
        belongs_to: what the file must belong to, if it says so; None takes any.

    Raises:
        CheckpointError: missing, cut off, changed, or of something else.
    """
    try:
        file_size = _regular_size(path)
        with path.open("rb") as file:
            metadata = _read_metadata(file, file_size, size)
            file.seek(0)
            tensors = load(file.read(file_size))
        found = hashlib.sha256(save(tensors)).hexdigest()
    except DAMAGE as error:
        raise CheckpointError(f"{path} is missing, cut off or not safetensors: {error}") from error
    if found != metadata.get("sha256") or digest not in (None, found):
        raise CheckpointError(f"{path} was changed, or is not ours: its checksum is wrong")
    if belongs_to is not None and metadata.get("belongs_to", belongs_to) != belongs_to:
        raise CheckpointError(f"{path} belongs to another description than the one beside it")
    return tensors


def _read_metadata(file: BinaryIO, size: int, content: int | None) -> dict[str, str]:
    """Return the metadata of a safetensors file, whose header follows its length in 8 bytes.

    What the header says must be exactly as long as the file, and as its content should be: it is
    known before it is read.
    """
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, MAX_JSON):
        raise ValueError(f"its header cannot have {length} bytes")
    header = json.loads(file.read(length))
    metadata: dict[str, str] = header.pop("__metadata__", {})
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if not isinstance(metadata, dict) or 8 + length + end != size:
        raise ValueError(f"its header describes {8 + length + end} bytes, the file has {size}")
    if content not in (None, end):
        raise ValueError(f"it has {end} bytes of numbers, {content} belong to it")
    return metadata
