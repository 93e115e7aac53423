"""``structured-layers resume``: go on with a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..evotorch.run import Run
from .options import Count, RunFolder
from .session import check_interval, train_in_session


@dataclass(frozen=True)
class Resume:
    """Go on with a run that was interrupted, to the same numbers as if it had not been."""

    folder: RunFolder
    """Folder of the run."""
    num_actors: Count = 0
    """Processes that simulate; results do not depend on it."""
    checkpoint_every: Count = 10
    """Generations between two checkpoints."""

    def run(self) -> int:
        """Train, report, and return the exit code."""
        check_interval(self.checkpoint_every)
        run = Run.resume(self.folder, num_actors=self.num_actors)
        return train_in_session(run, checkpoint_every=self.checkpoint_every)
