"""Choosing a simulator for an environment."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast, get_args

import gymnasium
from gymnasium import Env

from structured_layers.errors import NoNativeTaskWarning, StructuredLayersError

from .base import Simulator
from .envpool_simulator import EnvPoolSimulator
from .gymnasium_simulator import GymnasiumSimulator
from .mujoco_simulator import MujocoSimulator
from .tasks import TASKS, task_name
from .vectorized_simulator import VectorizedSimulator
from .vectorized_tasks import VECTORIZED_TASKS

SimulatorName = Literal["auto", "mujoco", "numpy", "gymnasium", "envpool"]


def make_simulator(
    env: str | Callable[..., Env[Any, Any]],
    *,
    simulator: str = "auto",
    capacity: int = 64,
    env_config: Mapping[str, Any] | None = None,
) -> Simulator:
    """Make the simulator that steps an environment.

    Args:
        env: an id for `gymnasium.make`, or a callable that returns a new environment.
        simulator: `"mujoco"` for the ids in `TASKS`, `"numpy"` for those in `VECTORIZED_TASKS`,
            `"gymnasium"` for everything; `"auto"` takes the first that can. All give the same
            numbers. `"envpool"` steps EnvPool's ids, with numbers of its own that depend on the
            batch; `"auto"` never takes it.
        capacity: how many episodes may run at once.
        env_config: arguments of the environment's constructor, or of the callable; with an id also
            `max_episode_steps`.

    Example:
        >>> with make_simulator("CartPole-v1", capacity=2) as simulator:
        ...     simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 4)
    """
    name = _resolve(env, simulator)
    if name == "gymnasium":
        return GymnasiumSimulator(env, capacity, env_config=env_config)
    if not isinstance(env, str):
        raise StructuredLayersError(
            f'simulator="{name}" needs one of the ids {", ".join(_ids(name))}, got a callable; '
            'use simulator="gymnasium"'
        )
    if name == "envpool":
        return EnvPoolSimulator(env, capacity, env_config=env_config)
    _check_registration(env, name)
    native = MujocoSimulator if name == "mujoco" else VectorizedSimulator
    return native(env, capacity, env_config=env_config)


def warn_without_native_task(env: str | Callable[..., Env[Any, Any]], simulator: str) -> None:
    """Say that `simulator="auto"` steps an id through Gymnasium, because we have no task for it."""
    if isinstance(env, str) and simulator == "auto" and native_simulator(env) is None:
        warnings.warn(
            f"{env} has no native task and runs through Gymnasium, which takes more time per step",
            NoNativeTaskWarning,
            stacklevel=3,
        )


def native_simulator(env_id: str) -> SimulatorName | None:
    """Return which of our own simulators has a task for an id; None if it is Gymnasium's to run."""
    if task_name(env_id) in TASKS and _is_as_we_know_it(env_id):
        return "mujoco"
    if env_id in VECTORIZED_TASKS and _is_as_we_know_it(env_id):
        return "numpy"
    return None


def _resolve(env: str | Callable[..., Env[Any, Any]], simulator: str) -> SimulatorName:
    if simulator not in get_args(SimulatorName):
        *others, last = (f'"{name}"' for name in get_args(SimulatorName))
        raise StructuredLayersError(
            f"simulator must be {', '.join(others)} or {last}, got {simulator!r}"
        )
    if simulator != "auto":
        return cast(SimulatorName, simulator)
    return (native_simulator(env) if isinstance(env, str) else None) or "gymnasium"


def _ids(name: SimulatorName) -> list[str]:
    if name == "envpool":
        return ["that envpool.list_all_envs() returns"]
    return sorted(TASKS if name == "mujoco" else VECTORIZED_TASKS)


def _is_as_we_know_it(env_id: str) -> bool:
    """Return whether an id is still registered as the environment that our task equals."""
    name = task_name(env_id)
    kind = TASKS.get(name) or VECTORIZED_TASKS.get(name)
    if kind is None:  # the simulator will say what it knows
        return True
    spec = gymnasium.registry.get(name)
    if spec is None:  # ours are registered when their module is imported
        return "/" in name
    expected: tuple[Any, ...] = (kind.entry_point, kind.time_limit, {}, ())
    registered = (spec.entry_point, spec.max_episode_steps, spec.kwargs, spec.additional_wrappers)
    return registered == expected


def _check_registration(env_id: str, name: SimulatorName) -> None:
    if not _is_as_we_know_it(env_id):
        raise StructuredLayersError(
            f"{env_id} is registered as another environment than the one that "
            f'simulator="{name}" steps; use simulator="gymnasium"'
        )
