"""Any Gymnasium environment, one instance per slot."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import StructuredLayersError

from .base import Simulator, Slots, StepResult, checked_seeds, describe, not_running_error
from .environments import environment_maker
from .spaces import check_action_space, flat_observation_size, flatten_observation

Floats = NDArray[np.float64]
AnyEnv = gymnasium.Env[Any, Any]


class GymnasiumSimulator(Simulator):
    """Steps any environment that `gymnasium.make` or a callable makes.

    Observations of `Box`, `Discrete`, `MultiBinary`, `MultiDiscrete`, `Tuple` and `Dict` spaces
    are flattened; actions are a 1-D `Box` or a `Discrete`. Environments are made when their slot
    is first reset. One that fails is closed, and the slot's next reset makes a new one. The alive
    bonus is `info["reward_survive"]`, Gymnasium's name for it.

    Args:
        env: an id, or a callable that returns a new environment at every call.
        capacity: how many episodes may run at once, at most 256.

    Example:
        >>> simulator = GymnasiumSimulator("CartPole-v1", capacity=2)
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 4)
        >>> simulator.step([0, 1], [0, 1]).rewards.tolist()
        [1.0, 1.0]
        >>> simulator.close()
    """

    def __init__(self, env: str | Callable[[], AnyEnv], capacity: int = 64) -> None:
        """Make the first environment, which tells the spaces."""
        super().__init__(capacity)
        self._name, self._make = environment_maker(env)
        first = self._make()
        try:
            self.action_space = check_action_space(first.action_space, self._name)
            self.observation_size = flat_observation_size(first.observation_space, self._name)
        except StructuredLayersError:
            first.close()
            raise
        self._observation_space = first.observation_space
        is_box = isinstance(self._observation_space, gymnasium.spaces.Box)
        shape = self._observation_space.shape if is_box else None
        self.observation_shape = shape or (self.observation_size,)
        self.time_limit = first.spec.max_episode_steps if first.spec else None
        self._spare: AnyEnv | None = first
        self._envs: list[AnyEnv | None] = [None] * capacity
        self._running = [False] * capacity

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`."""
        indices = self._checked_slots(slots).tolist()
        values = checked_seeds(seeds, len(indices))
        observations = np.full((len(indices), self.observation_size), np.nan)
        for row, (slot, seed) in enumerate(zip(indices, values, strict=True)):
            try:
                observation, _ = self._env_of(slot).reset(seed=seed)
                observations[row] = self._finite_observation(observation)
                self._running[slot] = True
            except (Exception, SystemExit) as error:
                observations[row] = np.nan
                self._drop(slot, error)
        return observations

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot, see `Simulator.step`."""
        indices = self._checked_slots(slots).tolist()
        rows = self._checked_actions(actions, len(indices))
        for slot in indices:
            if not self._running[slot]:
                raise not_running_error(slot)
        result = StepResult.of_failures(len(indices), self.observation_size)
        for row, (slot, action) in enumerate(zip(indices, rows, strict=True)):
            try:
                (
                    result.observations[row],
                    result.rewards[row],
                    result.alive_bonus[row],
                    result.terminated[row],
                    result.truncated[row],
                ) = self._step_one(slot, action)
            except (Exception, SystemExit) as error:
                self._drop(slot, error)
        return result

    def close(self) -> None:
        """Close every environment."""
        for env in (*self._envs, self._spare):
            if env is not None:
                with contextlib.suppress(Exception):  # nothing is lost with what fails to close
                    env.close()
        self._spare = None
        self._envs = [None] * self.capacity
        self._running = [False] * self.capacity

    def _step_one(self, slot: int, action: Any) -> tuple[Floats, float, float, bool, bool]:
        """One environment's step as finite numbers, or an exception."""
        observation, reward, terminated, truncated, info = self._env_of(slot).step(action)
        # Some environments return the reward as an array with one element.
        value = float(np.asarray(reward).item())
        alive_bonus = float(info.get("reward_survive", 0.0))
        if not (math.isfinite(value) and math.isfinite(alive_bonus)):
            raise StructuredLayersError(f"the reward is not finite: {value}")
        row = self._finite_observation(observation)
        return row, value, alive_bonus, bool(terminated), bool(truncated)

    def _finite_observation(self, observation: Any) -> Floats:
        row = flatten_observation(self._observation_space, observation)
        if row.size != self.observation_size:
            raise StructuredLayersError(
                f"an observation has {row.size} numbers, its space {self.observation_size}"
            )
        if not np.isfinite(row).all():
            raise StructuredLayersError("an observation is not finite")
        return row

    def _env_of(self, slot: int) -> AnyEnv:
        """The slot's environment, made when there is none."""
        env = self._envs[slot]
        if env is None:
            env, self._spare = self._spare or self._make(), None
            self._envs[slot] = env
        return env

    def _drop(self, slot: int, error: BaseException) -> None:
        """Record a failure, and close the environment whose state can't be trusted any more."""
        self.last_error = f"{self._name}: {describe(error)}"
        env, self._envs[slot] = self._envs[slot], None
        self._running[slot] = False
        if env is not None:
            # It has failed already, so a failure to close says nothing new.
            with contextlib.suppress(Exception):
                env.close()

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[Any]:
        """The actions, copied so that no environment writes into the caller's array."""
        given = np.asarray(actions)
        expected = (count, *(self.action_space.shape or ()))
        if given.shape != expected:
            raise StructuredLayersError(f"actions must have shape {expected}, got {given.shape}")
        if count and isinstance(self.action_space, gymnasium.spaces.Discrete):
            if not np.issubdtype(given.dtype, np.integer):
                raise StructuredLayersError(
                    f"actions of a Discrete space must be integers, got {given.dtype}"
                )
        return given.astype(self.action_space.dtype)
