"""EnvPool's environments, stepped in C++."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import MissingDependencyError, StructuredLayersError

from .alive_bonus import is_balancing
from .arguments import checked_config
from .base import (
    Simulator,
    Slots,
    StepResult,
    checked_seeds,
    describe,
    not_running_error,
    number_array,
)
from .spaces import check_action_space, flat_observation_size

Floats = NDArray[np.float64]

_OURS = ("batch_size", "env_seed", "env_type", "num_envs", "num_threads", "seed")
_ALIVE = ("reward_survive", "reward_alive")


class EnvPoolSimulator(Simulator):
    """Steps an environment of EnvPool, whose physics and rewards are not Gymnasium's bit for bit.

    EnvPool seeds an environment once, when it is made. Here that is the first `reset`, from its
    seeds; later seeds are checked and have no effect. So, unlike those of every other simulator,
    **results depend on which episodes a slot ran before**: on the number of actors and the
    capacity, and a run that is resumed goes on with other episodes than one that never stopped.

    Actions are those of a `Box` or a `Discrete`, observations one `Box`. The alive bonus is what
    EnvPool reports of it; where it reports nothing, it is `healthy_reward` in every step that does
    not terminate. In balancing tasks nothing counts as a bonus.

    Args:
        env_id: an id of `envpool.list_all_envs()`.
        capacity: how many episodes may run at once, at most 256.
        env_config: EnvPool's options of that environment.

    Example:
        >>> simulator = EnvPoolSimulator("CartPole-v1", capacity=2)  # doctest: +SKIP
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape  # doctest: +SKIP
        (2, 4)
    """

    def __init__(
        self, env_id: str, capacity: int = 64, *, env_config: Mapping[str, Any] | None = None
    ) -> None:
        """Make one environment, which tells the spaces; the pool is made at the first reset."""
        super().__init__(capacity)
        self._envpool = _import_envpool()
        self._name, self._config = env_id, checked_config(env_config)
        _check_known(self._envpool, env_id, self._config)
        with contextlib.closing(self._make(1, [0])) as first, _quiet():
            self.action_space = check_action_space(first.action_space, env_id)
            if isinstance(self.action_space, gymnasium.spaces.MultiDiscrete):
                raise StructuredLayersError(
                    f"EnvPoolSimulator takes Box or Discrete actions, {env_id} has "
                    f'{self.action_space}; use simulator="gymnasium"'
                )
            space = first.observation_space
            if not isinstance(space, gymnasium.spaces.Box):
                raise StructuredLayersError(
                    f"EnvPoolSimulator takes observations of one Box, {env_id} has {space}; "
                    'use simulator="gymnasium"'
                )
            self.observation_size = flat_observation_size(space, env_id)
            self.observation_shape = tuple(space.shape)
            options = dict(first.config)
            _, info = first.reset()
        reported = any(name in info for name in _ALIVE)
        is_known = reported or is_balancing(env_id)
        self._healthy_reward = 0.0 if is_known else _unreported_bonus(env_id, options)
        self.time_limit = int(options["max_episode_steps"])
        self._pool: Any = None
        self._running = np.zeros(capacity, dtype=np.bool_)

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`; seeds count at the first call."""
        indices = self._checked_slots(slots)
        values = checked_seeds(seeds, len(indices))
        if len(indices) == 0:
            return np.empty((0, self.observation_size))
        try:
            if self._pool is None:
                state = np.random.SeedSequence(values).generate_state(self.capacity)
                self._pool = self._make(self.capacity, (state >> 1).tolist())
                with _quiet():
                    self._pool.reset()
            observations, info = self._pool.reset(indices.astype(np.int32))
            rows = np.empty((len(indices), self.observation_size))
            rows[self._order(indices, info)] = observations.reshape(len(indices), -1)
        except Exception as error:
            self._drop_all(error)
            return np.full((len(indices), self.observation_size), np.nan)
        self._running[indices] = finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            rows[~finite] = np.nan
            self.last_error = f"{self._name}: an observation is not finite"
        return rows

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot, see `Simulator.step`."""
        indices = self._checked_slots(slots)
        for slot in indices[~self._running[indices]].tolist():
            raise not_running_error(slot)
        values = self._checked_actions(actions, len(indices))
        result = StepResult.of_failures(len(indices), self.observation_size)
        if len(indices) == 0:
            return result
        try:
            observations, rewards, terminated, truncated, info = self._pool.step(
                values, indices.astype(np.int32)
            )
            order = self._order(indices, info)
        except Exception as error:
            self._drop_all(error)
            return result
        result.observations[order] = observations.reshape(len(indices), -1)
        result.rewards[order] = rewards
        result.terminated[order], result.truncated[order] = terminated, truncated
        result.alive_bonus[order] = self._bonus(info, terminated)
        self._mark_failures(indices, result)
        return result

    def close(self) -> None:
        """Free the pool; the next `reset` makes another."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None
        self._running[:] = False

    def _make(self, num_envs: int, seeds: list[int]) -> Any:
        options = {"num_envs": num_envs, "num_threads": 1, "seed": seeds, **self._config}
        try:
            with _quiet():
                pool = self._envpool.make(self._name, env_type="gymnasium", **options)
                pool.action_space  # noqa: B018, made at its first use, with the same remarks
                return pool
        except Exception as error:
            raise StructuredLayersError(
                f"the environment {self._name} could not be made by EnvPool: {describe(error)}"
            ) from error

    def _order(self, indices: NDArray[np.intp], info: Mapping[str, Any]) -> NDArray[np.intp]:
        """The rows of `indices` in the order in which EnvPool returned them."""
        by_slot = np.argsort(indices)
        order: NDArray[np.intp] = by_slot[np.searchsorted(indices[by_slot], info["env_id"])]
        return order

    def _bonus(self, info: Mapping[str, Any], terminated: NDArray[np.bool_]) -> Floats:
        if is_balancing(self._name):
            return np.zeros(len(terminated))
        for name in _ALIVE:
            if name in info:
                reported: Floats = np.asarray(info[name], dtype=np.float64)
                return reported
        return self._healthy_reward * (~np.asarray(terminated)).astype(np.float64)

    def _mark_failures(self, indices: NDArray[np.intp], result: StepResult) -> None:
        finite = np.isfinite(result.rewards) & np.isfinite(result.observations).all(axis=1)
        if finite.all():
            return
        rows = np.flatnonzero(~finite)
        failed = StepResult.of_failures(len(rows), self.observation_size)
        result.write(rows.tolist(), failed)
        self._running[indices[rows]] = False
        self.last_error = f"{self._name}: a reward or an observation is not finite"

    def _drop_all(self, error: BaseException) -> None:
        """Record a failure of the pool, which leaves no episode whose state can be trusted."""
        self.last_error = f"{self._name}: {describe(error)}"
        self._pool = None
        self._running[:] = False

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[Any]:
        given = number_array(actions)
        expected = (count, *(self.action_space.shape or ()))
        if given.shape != expected:
            raise StructuredLayersError(f"actions must have shape {expected}, got {given.shape}")
        if count and isinstance(self.action_space, gymnasium.spaces.Discrete):
            if not np.issubdtype(given.dtype, np.integer):
                raise StructuredLayersError(
                    f"actions of a Discrete space must be integers, got {given.dtype}"
                )
            return given.astype(np.int32)
        return given.astype(self.action_space.dtype)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what EnvPool's own spaces make Gymnasium remark, which no user can change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _import_envpool() -> Any:
    try:
        import envpool
    except ImportError as error:
        raise MissingDependencyError("EnvPoolSimulator", "envpool") from error
    return envpool


def _check_known(envpool: Any, env_id: str, config: Mapping[str, Any]) -> None:
    if env_id not in envpool.list_all_envs():
        raise StructuredLayersError(
            f'EnvPool has no environment {env_id!r}; use simulator="gymnasium" for others'
        )
    fixed = [name for name in _OURS if name in config]
    if fixed:
        raise StructuredLayersError(
            f"env_config must not contain {', '.join(fixed)}, which the simulator decides"
        )


def _unreported_bonus(env_id: str, options: Mapping[str, Any]) -> float:
    """The alive bonus of a step that does not terminate, where EnvPool does not report it."""
    bonus = float(options.get("healthy_reward", 0.0))
    is_known = options.get("terminate_when_unhealthy", True) and not options.get(
        "legacy_healthy_reward", False
    )
    if bonus and not is_known:
        raise StructuredLayersError(
            f"EnvPool does not say in which steps {env_id} pays for being alive, and with "
            "terminate_when_unhealthy=False or as version 4 nothing else does; take another "
            "simulator"
        )
    return bonus
