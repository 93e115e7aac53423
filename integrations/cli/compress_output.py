"""What ``structured-layers compress`` writes, which must not be there yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from structured_layers.conversion.structures import STRUCTURES
from structured_layers.errors import StructuredLayersError

MODEL_FILES = ("model.zip", "vecnormalize.pkl")
TABLES = ("compression.json", "compression.csv")
UNFINISHED = "sweep.json"
PICTURES = ("sweep.csv", "return_against_bits.png")


def check_output(folder: Path, inputs: Iterable[Path | None], sweep: bool) -> None:
    """Refuse a folder in which something would be overwritten.

    Args:
        folder: what ``--out`` names.
        inputs: the files that are read.
        sweep: whether a sweep is written, which goes on if the folder holds one.

    Raises:
        StructuredLayersError: if it is a file, holds an input, or has files of these names.
    """
    if blocking := [place for place in (folder, *folder.parents) if place.is_file()]:
        raise StructuredLayersError(
            f"{blocking[0]} is a file, but --out needs a folder; choose another --out"
        )
    for path in inputs:
        if path is not None and _holds(folder, path, sweep):
            raise StructuredLayersError(
                f"{path} lies where the output goes; choose a folder of its own for --out"
            )
    if found := [path.name for path in _written(folder, sweep) if path.exists()]:
        raise StructuredLayersError(
            f"{folder} holds {_listed(found)} already; choose another --out"
        )


def make_folder(folder: Path) -> None:
    """Make the folder and those above it.

    Raises:
        StructuredLayersError: if the system does not let us.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StructuredLayersError(f"{folder} cannot be made: {error}") from error


def _holds(folder: Path, path: Path, sweep: bool) -> bool:
    """Tell whether a file lies in the folder, or in a sweep's folder of a row."""
    parent = path.resolve().parent
    is_row = sweep and parent.name.startswith(tuple(STRUCTURES))
    return folder.resolve() in ((parent, parent.parent) if is_row else (parent,))


def _written(folder: Path, sweep: bool) -> list[Path]:
    if not sweep:
        return [folder / name for name in (*MODEL_FILES, *TABLES)]
    if (folder / UNFINISHED).exists():
        return []
    rows = [row for layer in STRUCTURES for row in folder.glob(f"{layer}*")]
    return [
        *(folder / name for name in PICTURES),
        *(row / name for row in rows for name in MODEL_FILES),
    ]


def _listed(names: list[str]) -> str:
    return f"a {names[0]}" if len(names) == 1 else ", ".join(names)
