"""``structured-layers report``: tables, pictures and a page of one run or of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from structured_layers.errors import StructuredLayersError

from ..evotorch.full_report import write_comparison, write_run_report
from .options import optional
from .tables import policy_table


@dataclass(frozen=True)
class Report:
    """Print the table of a run's policy, draw its pictures and write a page of them.

    Several runs are drawn side by side.
    """

    folders: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN ...]")
    ]
    """Folders of the runs."""
    out: Annotated[
        Path | None, optional("FOLDER", "RUN/report, for several runs report in this folder")
    ] = None
    """Where the page index.html and the pictures go."""

    def run(self) -> int:
        """Write the report and return the exit code."""
        if not self.folders:
            raise StructuredLayersError(
                "report needs the folder of a run, as in `structured-layers report runs/demo`"
            )
        if len(self.folders) == 1:
            report = write_run_report(self.folders[0], self.out)
        else:
            report = write_comparison(self.folders, self.out or Path("report"))
        console = Console()
        for summary in report.summaries:
            console.print(policy_table(summary))
        for line in (*report.notes, *report.pictures, report.page):
            console.print(str(line), highlight=False, soft_wrap=True, markup=False)
        return 0
