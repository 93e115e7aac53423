"""Choosing a simulator for an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymnasium import Env

from structured_layers.errors import StructuredLayersError

from .base import Simulator
from .gymnasium_simulator import GymnasiumSimulator
from .mujoco_simulator import MujocoSimulator
from .tasks import TASKS


def make_simulator(
    env: str | Callable[[], Env[Any, Any]], *, simulator: str = "auto", capacity: int = 64
) -> Simulator:
    """Make the simulator that steps an environment.

    Args:
        env: an id for `gymnasium.make`, or a callable that returns a new environment.
        simulator: `"mujoco"` for the ids in `TASKS`, `"gymnasium"` for everything, `"auto"` for
            the first where it can and the second otherwise. Both give the same numbers.
        capacity: how many episodes may run at once.

    Example:
        >>> with make_simulator("CartPole-v1", capacity=2) as simulator:
        ...     simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 4)
    """
    if simulator not in ("auto", "mujoco", "gymnasium"):
        raise StructuredLayersError(
            f'simulator must be "auto", "mujoco" or "gymnasium", got {simulator!r}'
        )
    has_task = isinstance(env, str) and env in TASKS
    if simulator == "mujoco" and not isinstance(env, str):
        raise StructuredLayersError(
            f'simulator="mujoco" needs one of the ids {", ".join(sorted(TASKS))}, got a callable; '
            'use simulator="gymnasium"'
        )
    if isinstance(env, str) and (simulator == "mujoco" or (simulator == "auto" and has_task)):
        return MujocoSimulator(env, capacity)
    return GymnasiumSimulator(env, capacity)
