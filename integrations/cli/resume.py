"""``structured-layers resume``: go on with a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..evotorch.run import Run
from .options import Count, RunFolder, WorkerOptions
from .session import check_interval, train_in_session


@dataclass(frozen=True)
class Resume(WorkerOptions):
    """Go on with a run that was interrupted, to the same numbers as if it had not been."""

    folder: RunFolder
    """Folder of the run."""
    checkpoint_every: Count = 10
    """Generations between two checkpoints."""

    def run(self) -> int:
        """Train, report, and return the exit code."""
        check_interval(self.checkpoint_every)
        run = Run.resume(self.folder, **self.workers())
        return train_in_session(run, checkpoint_every=self.checkpoint_every)
