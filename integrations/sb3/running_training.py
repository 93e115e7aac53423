"""Whether a model is being trained right now."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from ...errors import StructuredLayersError


def is_learning(model: Any) -> bool:
    """Tell whether a ``learn`` of a model is under way, in this thread or another one.

    Stable-Baselines3 keeps no note of it, so the calls that are running are searched.
    """
    return any(_is_below_learn(frame, model) for frame in sys._current_frames().values())


def check_not_learning(model: Any) -> None:
    """Refuse to run a model's environments while its ``learn`` is in the middle of an episode.

    Raises:
        StructuredLayersError: if it is.
    """
    if is_learning(model):
        raise StructuredLayersError(
            "the model is learning, and another policy in its environments would spoil the episode "
            "that it is in; compress it after learn, or save it and load it with other "
            "environments, or take distill=False, which runs none"
        )


def _is_below_learn(frame: FrameType | None, model: Any) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "learn" and frame.f_locals.get("self") is model:
            return True
        frame = frame.f_back
    return False
