"""``structured-layers report``: tables and pictures of a run."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from ..evotorch.report import write_report
from .options import RunFolder
from .tables import policy_table


@dataclass(frozen=True)
class Report:
    """Print the table of a run's policy and draw its pictures into report/."""

    folder: RunFolder
    """Folder of the run."""

    def run(self) -> int:
        """Write the report and return the exit code."""
        summary = write_report(self.folder)
        console = Console()
        console.print(policy_table(summary))
        for picture in summary.pictures:
            console.print(str(picture), highlight=False, soft_wrap=True)
        return 0
