"""Any Gymnasium environment, one instance per slot."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import StructuredLayersError

from .alive_bonus import reports_bonus
from .base import (
    Simulator,
    Slots,
    StepResult,
    checked_seeds,
    describe,
    not_running_error,
    number_array,
)
from .environments import environment_maker
from .instability import listener_for
from .spaces import check_action_space, flat_observation_size, flatten_observation

Floats = NDArray[np.float64]
AnyEnv = gymnasium.Env[Any, Any]
Move = tuple[Any, Any, Any, Any, Any]
"""What a step returned: observation, reward, alive bonus, terminated, truncated."""


class GymnasiumSimulator(Simulator):
    """Steps any environment that `gymnasium.make` or a callable makes.

    Observations of `Box`, `Discrete`, `MultiBinary`, `MultiDiscrete`, `Tuple` and `Dict` spaces
    are flattened; actions are a 1-D `Box`, a `Discrete` or a 1-D `MultiDiscrete`. Environments are
    made when their slot is first reset. One that fails is closed, and the slot's next reset makes a
    new one. The alive bonus is `info["reward_survive"]`, Gymnasium's name for it, and 0 in the
    balancing tasks, which pay for nothing else. Where MuJoCo says that the physics became unstable,
    the episode ends and its row is `warned`, as in `MujocoSimulator`.

    Args:
        env: an id, or a callable that returns a new environment at every call.
        capacity: how many episodes may run at once, at most 256.
        env_config: arguments for `gymnasium.make` or the callable.

    Example:
        >>> simulator = GymnasiumSimulator("CartPole-v1", capacity=2)
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 4)
        >>> simulator.step([0, 1], [0, 1]).rewards.tolist()
        [1.0, 1.0]
        >>> simulator.close()
    """

    def __init__(
        self,
        env: str | Callable[..., AnyEnv],
        capacity: int = 64,
        *,
        env_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the first environment, which tells the spaces."""
        super().__init__(capacity)
        self._name, self._make = environment_maker(env, env_config)
        first = self._make()
        try:
            self.action_space = check_action_space(first.action_space, self._name)
            self.observation_size = flat_observation_size(first.observation_space, self._name)
        except StructuredLayersError:
            first.close()
            raise
        self._observation_space = first.observation_space
        self._is_box = isinstance(self._observation_space, gymnasium.spaces.Box)
        shape = self._observation_space.shape if self._is_box else None
        self.observation_shape = shape or (self.observation_size,)
        self.time_limit = first.spec.max_episode_steps if first.spec else None
        self._acts_by_numbers = isinstance(self.action_space, gymnasium.spaces.Box)
        self._reports_bonus = reports_bonus(first)
        self._listener = listener_for(first, self._name)
        self._spare: AnyEnv | None = first
        self._envs: list[AnyEnv | None] = [None] * capacity
        self._running = [False] * capacity
        self._batch: list[AnyEnv] | None = None
        self._batch_slots = np.empty(0, dtype=np.intp)
        self._no_move: Move = (None, np.nan, 0.0, True, False)

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`."""
        indices = self._checked_slots(slots).tolist()
        values = checked_seeds(seeds, len(indices))
        observations = np.full((len(indices), self.observation_size), np.nan)
        with self._listener or contextlib.nullcontext():
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
        envs = self._running_envs(slots)
        rows = self._checked_actions(actions, len(envs))
        failures: dict[int, BaseException] = {}
        with self._listener or contextlib.nullcontext():
            moves = self._move(envs, rows, failures)
        unstable = self._unstable_rows(envs, failures)
        result = None if failures or unstable else self._read_together(moves)
        if result is None:
            result = self._read_singly(moves, failures, unstable)
        for row, failure in failures.items():
            self._drop(int(self._batch_slots[row]), failure)
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
        self._batch = None

    def _move(
        self, envs: list[AnyEnv], actions: NDArray[Any], failures: dict[int, BaseException]
    ) -> list[Move]:
        """Step every environment; what fails is added to `failures`."""
        finite = [True] * len(envs)
        if self._acts_by_numbers:
            finite = np.isfinite(actions).all(axis=1).tolist()
        moves: list[Move] = []
        for row, (env, action) in enumerate(zip(envs, actions, strict=True)):
            try:
                if not finite[row]:
                    raise StructuredLayersError("an action is not finite")
                observation, reward, terminated, truncated, info = env.step(action)
                bonus = info.get("reward_survive", 0.0) if self._reports_bonus else 0.0
                moves.append((observation, reward, bonus, terminated, truncated))
            except (Exception, SystemExit) as error:
                moves.append(self._no_move)
                failures[row] = error
        return moves

    def _unstable_rows(self, envs: list[AnyEnv], failures: dict[int, BaseException]) -> list[int]:
        """The rows whose physics became unstable; bad controls are added to `failures`."""
        if self._listener is None or not self._listener.heard:
            return []
        datas = [env.unwrapped.data for env in envs]  # type: ignore[attr-defined]
        unstable, bad_controls = self._listener.look_at(datas)
        for row in bad_controls:
            failures.setdefault(row, StructuredLayersError("an action is not finite"))
        return [row for row in unstable if row not in failures]

    def _running_envs(self, slots: Slots) -> list[AnyEnv]:
        """The slots' environments; most steps name the same slots as the step before."""
        if self._batch is None or not np.array_equal(self._batch_slots, np.asarray(slots)):
            indices = self._checked_slots(slots)
            for slot in indices.tolist():
                if not self._running[slot]:
                    raise not_running_error(slot)
            self._batch_slots = indices
            self._batch = [self._env_of(slot) for slot in indices.tolist()]
        return self._batch

    def _read_together(self, moves: list[Move]) -> StepResult | None:
        """All rows at once; None if one of them is not what its space and the contract say."""
        if not (self._is_box and moves):
            return None
        observations, rewards, bonuses, terminated, truncated = zip(*moves, strict=True)
        try:
            block = np.array(observations, dtype=np.float64)
            numbers = np.array((rewards, bonuses), dtype=np.float64)
            ends = np.array((terminated, truncated))
        except (TypeError, ValueError):
            return None
        if block.shape != (len(moves), *self.observation_shape) or numbers.ndim != 2:
            return None
        if ends.shape != numbers.shape or ends.dtype != np.bool_:
            return None
        if not (np.isfinite(numbers).all() and np.isfinite(block).all()):
            return None
        return StepResult(
            block.reshape(len(moves), self.observation_size),
            numbers[0],
            numbers[1],
            ends[0],
            ends[1],
            np.zeros(len(moves), dtype=np.bool_),
        )

    def _read_singly(
        self, moves: list[Move], failures: dict[int, BaseException], unstable: list[int]
    ) -> StepResult:
        """Row by row; what cannot be read is a failure and is added to `failures`."""
        result = StepResult.of_failures(len(moves), self.observation_size)
        for row, (observation, reward, bonus, terminated, truncated) in enumerate(moves):
            if row in failures or row in unstable:
                continue
            try:
                # Some environments return the reward as an array with one element.
                value, alive_bonus = float(np.asarray(reward).item()), float(bonus)
                if not (math.isfinite(value) and math.isfinite(alive_bonus)):
                    raise StructuredLayersError(f"the reward is not finite: {value}")
                result.observations[row] = self._finite_observation(observation)
                ends = _flag("terminated", terminated), _flag("truncated", truncated)
            except Exception as error:
                result.observations[row] = 0.0
                failures[row] = error
                continue
            result.rewards[row], result.alive_bonus[row] = value, alive_bonus
            result.terminated[row], result.truncated[row] = ends
        result.write(unstable, StepResult.of_warnings(len(unstable), self.observation_size))
        return result

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
        self._batch = None
        if env is not None:
            # It has failed already, so a failure to close says nothing new.
            with contextlib.suppress(Exception):
                env.close()

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[Any]:
        """An action for each environment, copied so that none writes into the caller's array."""
        given = number_array(actions)
        expected = (count, *(self.action_space.shape or ()))
        if given.shape != expected:
            raise StructuredLayersError(f"actions must have shape {expected}, got {given.shape}")
        if count and not self._acts_by_numbers and not np.issubdtype(given.dtype, np.integer):
            raise StructuredLayersError(
                f"actions of a {type(self.action_space).__name__} space must be integers, got "
                f"{given.dtype}"
            )
        with np.errstate(over="ignore"):  # such rows fail
            return given.astype(self.action_space.dtype)


def _flag(name: str, value: Any) -> bool:
    """A truth value, which some environments return as an array with one element."""
    flag = np.asarray(value)
    if flag.size != 1 or flag.item() not in (False, True):
        raise StructuredLayersError(f"{name} is no truth value: {value!r}")
    return bool(flag.item())
