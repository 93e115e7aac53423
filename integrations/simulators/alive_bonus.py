"""In which environments the bonus for being alive is the task itself."""

from __future__ import annotations

from typing import Any

import gymnasium

BALANCING = ("InvertedPendulum", "InvertedDoublePendulum")
"""Nothing but the bonus rewards balancing there: a search that left it out would learn to fall."""


def is_balancing(name: str) -> bool:
    """Return whether an id, or the name of a class, is that of a balancing task."""
    kind = name.rpartition(":")[2].partition("-")[0].removesuffix("Env")
    return kind in BALANCING


def reports_bonus(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether `info["reward_survive"]` is a bonus, and not the reward of a balancing task.

    Args:
        env: which may be wrapped; the class inside tells, whatever the id is.
    """
    return not any(is_balancing(kind.__name__) for kind in type(env.unwrapped).__mro__)
