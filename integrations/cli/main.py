"""The entry point of ``structured-layers``: parse, run, say errors in one line."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from structured_layers.errors import MissingDependencyError, StructuredLayersError

try:
    import tyro
    from rich.console import Console

    from .compress import Compress
    from .evaluate import Evaluate
    from .report import Report
    from .resume import Resume
    from .session import INTERRUPTED
    from .train import Train
except ImportError as error:
    if isinstance(error, MissingDependencyError):
        raise
    raise MissingDependencyError(f"The command line ({error.name})", "evolution") from error


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        args: the words after ``structured-layers``; None takes them from the process.
    """
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "train": Train,
            "resume": Resume,
            "evaluate": Evaluate,
            "report": Report,
            "compress": Compress,
        },
        prog="structured-layers",
        description="Train, continue, evaluate and compress policies.",
        args=None if args is None else list(args),
    )
    try:
        with _warnings_in_one_line():
            return int(command.run())
    except KeyboardInterrupt:  # outside of training, where there is nothing to save
        return INTERRUPTED
    except StructuredLayersError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"error: {' '.join(str(error).split())}", style="red", markup=False
        )
        return 2


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print warnings without the line of source code that Python adds."""
    previous = warnings.formatwarning
    warnings.formatwarning = lambda message, *args, **kwargs: f"note: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = previous


def entry_point() -> None:
    """Exit the process with :func:`main`'s code."""
    sys.exit(main())
