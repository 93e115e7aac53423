"""Ctrl-C held back while something is done that must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back inside the block; what was pressed counts at its end.

    An error out of the block goes first, and what was pressed is forgotten. Python handles signals
    in the main thread only: in any other nothing has to be held back, and nothing is.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield
        return
    frames: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: frames.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    for frame in frames:
        if callable(previous):
            previous(signal.SIGINT, frame)
        else:  # what the system does, or nothing
            signal.raise_signal(signal.SIGINT)
