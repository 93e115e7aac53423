"""The rows of a sweep, as a table and as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import StructuredLayersError
from ...files import read_json, write_bytes, write_json
from ...plots.return_against_bits import Point, pareto_front, plot_return_against_bits

FORMAT, VERSION = "structured-layers sweep", 1
BITS = "entropy"
"""The scheme of the picture: it counts colours, masks and floats, as an ideal coder stores them."""


@dataclass(frozen=True)
class Returns:
    """Mean and standard deviation over the episodes of an evaluation."""

    mean: float
    std: float

    def __str__(self) -> str:
        """Return both, rounded."""
        return f"{self.mean:,.1f} ± {self.std:,.1f}"


@dataclass(frozen=True)
class SweepRow:
    """One structure.

    Attributes:
        name: of the structure and its size.
        structure: what :func:`~structured_layers.integrations.sb3.compress` was given.
        weights: trained weights of the deployed actor.
        biases: its biases.
        bits: its size under each scheme of :func:`~structured_layers.metrics.summarize`.
        projected: return of the nearest structured policy; None if it was not asked for.
        distilled: return after distillation; of the dense row, of the model as it is.
        tuned: return after fine-tuning; None without fine-tuning.
        seconds: how long the row took.
    """

    name: str
    structure: dict[str, Any]
    weights: int
    biases: int
    bits: dict[str, int]
    projected: Returns | None
    distilled: Returns
    tuned: Returns | None
    seconds: float

    @property
    def last(self) -> Returns:
        """The return of the final policy."""
        return self.distilled if self.tuned is None else self.tuned


@dataclass(frozen=True)
class Sweep:
    """What a policy reaches under several structures; ``print`` shows a table.

    Attributes:
        rows: one for each structure, in the order of the sweep.
        settings: what they have in common.
    """

    rows: tuple[SweepRow, ...]
    settings: dict[str, Any]

    @property
    def pareto(self) -> tuple[str, ...]:
        """The names of the rows that no other one beats in bits and return, from small to large."""
        return tuple(point.name for point in pareto_front(self._points()))

    def __str__(self) -> str:
        """Return the table; a star marks the Pareto front."""
        table = [self._header(), *(self._cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for cells in table:
            padded = [cells[0].ljust(widths[0])]
            padded += [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines)

    def write(self, folder: Path, name: str = "sweep") -> None:
        """Write ``sweep.json`` and ``sweep.csv``, or files of another name."""
        rows = [asdict(row) for row in self.rows]
        data = {"format": FORMAT, "version": VERSION, "settings": self.settings, "rows": rows}
        write_json(folder / f"{name}.json", data)
        text = io.StringIO()
        flat = [_flat(row) for row in rows]
        writer = csv.DictWriter(text, list(flat[0]) if flat else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        write_bytes(folder / f"{name}.csv", text.getvalue().encode())

    def plot(self, path: Path, *, title: str = "") -> Path:
        """Draw return against bits, with the Pareto front.

        Raises:
            MissingDependencyError: matplotlib is not installed.
        """
        label = f"bits of the deployed actor ({BITS})"
        return plot_return_against_bits(self._points(), path, title=title, xlabel=label)

    def with_row(self, row: SweepRow) -> Sweep:
        """Return a sweep of one more row."""
        return replace(self, rows=(*self.rows, row))

    def _points(self) -> list[Point]:
        count = max(int(self.settings.get("num_episodes", 1)), 1)
        return [
            Point(row.name, row.bits[BITS], row.last.mean, row.last.std / count**0.5)
            for row in self.rows
        ]

    def _header(self) -> list[str]:
        wanted = [
            "structure", "weights", "biases", "bits (paper)", f"bits ({BITS})", "projected",
            "distilled", "fine-tuned", "of dense", "",
        ]  # fmt: skip
        return wanted if self._has("projected") else [c for c in wanted if c != "projected"]

    def _cells(self, row: SweepRow) -> list[str]:
        projected = [str(row.projected or "")] if self._has("projected") else []
        dense = [other.last.mean for other in self.rows if other.structure["layer"] == "dense"]
        share = f"{row.last.mean / dense[0]:.1%}" if dense and dense[0] > 0 else ""
        return [
            row.name, f"{row.weights:,}", f"{row.biases:,}", f"{row.bits['paper']:,}",
            f"{row.bits[BITS]:,}", *projected, str(row.distilled), str(row.tuned or ""), share,
            "*" if row.name in self.pareto else "",
        ]  # fmt: skip

    def _has(self, column: str) -> bool:
        return any(getattr(row, column) is not None for row in self.rows)


def read_sweep(folder: Path) -> Sweep:
    """Read ``sweep.json`` of a folder.

    Raises:
        StructuredLayersError: if it is missing, cut off or not ours.
    """
    path = folder / "sweep.json"
    data = read_json(path, format_name=FORMAT, version=VERSION)
    try:
        return Sweep(tuple(_row(row) for row in data["rows"]), data["settings"])
    except (KeyError, TypeError) as error:
        raise StructuredLayersError(f"{path} is damaged: {error!r}") from error


def _row(data: Mapping[str, Any]) -> SweepRow:
    returns = {
        key: None if data[key] is None else Returns(**data[key])
        for key in ("projected", "distilled", "tuned")
    }
    return SweepRow(**{**data, **returns})


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with one value a column."""
    flat: dict[str, Any] = {k: row[k] for k in ("name", "structure", "weights", "biases")}
    flat |= {f"bits_{scheme}": row["bits"].get(scheme) for scheme in ("paper", BITS)}
    for key in ("projected", "distilled", "tuned"):
        returns = row[key] or {}
        flat |= {f"{key}_mean": returns.get("mean"), f"{key}_std": returns.get("std")}
    return {**flat, "seconds": row["seconds"]}
