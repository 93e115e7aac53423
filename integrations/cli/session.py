"""Training in a terminal: the live view, Ctrl-C, and the report at the end."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from structured_layers.errors import EvaluationError, MissingDependencyError, StructuredLayersError

from ..evotorch.report import summarize_run, write_report
from ..evotorch.run import Run
from .live import LiveView
from .tables import policy_table, start_table

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

STDERR = 2


class StopRequest:
    """Becomes true at the first Ctrl-C; the second raises KeyboardInterrupt, later ones nothing.

    After the second the run puts its state back and saves it, which takes a moment.
    """

    def __init__(self) -> None:
        """Start with no request."""
        self.asked = self.given_up = False

    def __call__(self) -> bool:
        """Return whether Ctrl-C was pressed."""
        return self.asked

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        if self.given_up:
            os.write(STDERR, b"\nsaving\n")
            return
        if self.asked:
            self.given_up = True
            raise KeyboardInterrupt
        self.asked = True
        # a handler must not enter Python's buffered streams, which it may have interrupted
        os.write(STDERR, b"\nfinishing this generation; Ctrl-C again gives it up\n")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for Ctrl-C inside the block."""
        previous = signal.signal(signal.SIGINT, self.handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def train_in_session(run: Run, *, checkpoint_every: int) -> int:
    """Train a run with a live view; return the exit code."""
    console = Console()
    console.print(start_table(run))
    stop = StopRequest()
    try:
        with stop.listening(), LiveView(run, console) as view:
            run.train(
                checkpoint_every=checkpoint_every, on_generation=view.update, should_stop=stop
            )
    except KeyboardInterrupt:
        stop.asked = True
    except EvaluationError:
        _say_how_to_go_on(run, console, first="mend the environment and ")
        raise
    finally:
        run.close()
    if stop.asked and not run.finished:
        _say_how_to_go_on(run, console)
        return INTERRUPTED
    _report(run, console)
    return 0


def check_interval(checkpoint_every: int) -> None:
    """Refuse an impossible number of generations before anything is written."""
    if checkpoint_every < 1:
        raise StructuredLayersError(f"checkpoint_every must be at least 1, got {checkpoint_every}")


def _say_how_to_go_on(run: Run, console: Console, first: str = "") -> None:
    console.print(
        f"saved at generation {run.saved_generation}; {first}go on with "
        f"`structured-layers resume {shlex.quote(str(run.folder))}`",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _report(run: Run, console: Console) -> None:
    try:
        summary = write_report(run.folder)
    except MissingDependencyError as error:
        summary = summarize_run(run.folder)
        console.print(
            f"no pictures: {error}; then `structured-layers report {run.folder}`",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    except EvaluationError as error:
        console.print(
            f"the policy is in {run.folder / 'policy'}, but no return can be reported: {error}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print(policy_table(summary))
    for path in (run.folder / "policy", *summary.pictures):
        console.print(str(path), highlight=False, soft_wrap=True)
