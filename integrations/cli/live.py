"""The live view of a run."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..evotorch.run import Run

LINE_INTERVAL = 10.0
"""Seconds between two lines where the output is no terminal."""


class LiveView:
    """Shows the newest generation: a table in a terminal, a line now and then elsewhere."""

    def __init__(self, run: Run, console: Console) -> None:
        """Prepare the view; the clock starts now."""
        self._run, self._console = run, console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._start = (time.perf_counter(), run.problem.env_steps)
        self._last_line = -math.inf

    def __enter__(self) -> Self:
        """Open the view and say what runs, since the first generation may take a while."""
        waiting = Text(f"{self._title()}: generation {self._run.generation + 1} …")
        if self._live is None:
            self._console.print(waiting, soft_wrap=True)
        else:
            self._live.__enter__()
            self._live.update(waiting, refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the view."""
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def update(self, row: dict[str, Any]) -> None:
        """Show a row of ``progress.csv``."""
        entries = self._entries(row)
        if self._live is not None:
            self._live.update(_table(self._title(), entries), refresh=True)
            return
        now = time.perf_counter()
        if now - self._last_line >= LINE_INTERVAL or self._run.finished:
            self._last_line = now
            line = "  ".join(f"{name} {value}" for name, value in entries.items())
            self._console.print(line, highlight=False, soft_wrap=True)

    def _title(self) -> str:
        config = self._run.config
        return f"{config.env}, {config.structure} → {self._run.folder}"

    def _entries(self, row: dict[str, Any]) -> dict[str, str]:
        started, steps_then = self._start
        rate = (row["env_steps"] - steps_then) / (time.perf_counter() - started)
        left = max(self._run.config.total_steps - row["env_steps"], 0) / max(rate, 1.0)
        return {
            "generation": str(row["generation"]),
            "env steps": f"{row['env_steps']:,}",
            "steps/s": f"{rate:,.0f}",
            "mean": f"{row['return_mean']:.1f}",
            "best": f"{row['return_best']:.1f}",
            "centre": f"{row['return_center']:.1f}",
            "weights": str(row["num_weights"]),
            **_troubles(row),
            "left": f"{int(left) // 60}:{int(left) % 60:02d}",
        }


def _troubles(row: dict[str, Any]) -> dict[str, str]:
    """Return the candidates that came to harm, if any did."""
    counts = {name: row[f"{name}_candidates"] for name in ("failed", "warned")}
    return {name: str(count) for name, count in counts.items() if count}


def _table(title: str, entries: dict[str, str]) -> Table:
    table = Table(title=title, box=SIMPLE, padding=(0, 1))  # fits into 80 columns
    for name in entries:
        table.add_column(name, justify="right")
    table.add_row(*entries.values())
    return table
