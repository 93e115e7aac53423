"""Small environments stepped in NumPy, all slots at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import StructuredLayersError

from .arguments import checked_config, make_with, split_time_limit
from .base import (
    Simulator,
    Slots,
    StepResult,
    checked_seeds,
    describe,
    is_bounded,
    not_running_error,
    number_array,
)
from .vectorized_tasks import VECTORIZED_TASKS, VectorizedTask

Floats = NDArray[np.float64]


class VectorizedSimulator(Simulator):
    """Steps a task in `VECTORIZED_TASKS` as Gymnasium's own environment does, bit for bit.

    The states of all slots are rows of one array, so a step is a few NumPy calls for the whole
    batch.

    Args:
        env_id: an id in `VECTORIZED_TASKS`.
        capacity: how many episodes may run at once, at most 256.
        env_config: arguments of Gymnasium's constructor, and `max_episode_steps`.

    Example:
        >>> simulator = VectorizedSimulator("Pendulum-v1", capacity=2)
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 3)
        >>> simulator.step([1], np.zeros((1, 1), dtype=np.float32)).rewards.shape
        (1,)
    """

    def __init__(
        self, env_id: str, capacity: int = 64, *, env_config: Mapping[str, Any] | None = None
    ) -> None:
        """Make the task and the array of states."""
        super().__init__(capacity)
        self._name = env_id
        kind = _find_task(env_id)
        arguments, self._limit = split_time_limit(
            env_id, checked_config(env_config), kind.time_limit
        )
        self.time_limit = self._limit
        self._task = make_with(kind, env_id, arguments)
        self.action_space = self._task.action_space
        self.observation_size = self._task.observation_size
        self.observation_shape = (self.observation_size,)
        self._states = np.zeros((capacity, self._task.state_size))
        self._num_steps = np.zeros(capacity, dtype=np.int64)
        self._running = np.zeros(capacity, dtype=np.bool_)

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`."""
        indices = self._checked_slots(slots)
        for slot, seed in zip(indices, checked_seeds(seeds, len(indices)), strict=True):
            generator, _ = np_random(seed)
            try:
                self._states[slot] = self._task.start(generator)
            except Exception as error:
                self._states[slot] = np.nan
                self.last_error = f"{self._name}: {describe(error)}"
        self._num_steps[indices] = 0
        observations = self._task.observe(self._states[indices])
        self._running[indices] = np.isfinite(observations).all(axis=1)
        return observations

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot, see `Simulator.step`."""
        indices = self._checked_slots(slots)
        controls = self._checked_actions(actions, len(indices))
        if not self._running[indices].all():
            raise not_running_error(int(indices[~self._running[indices]][0]))
        self._num_steps[indices] += 1
        steps = self._num_steps[indices]
        with np.errstate(invalid="ignore", over="ignore"):  # such rows are marked below
            outcome = self._task.step(self._states[indices], controls, steps)
        self._states[indices] = outcome.states
        nothing = np.zeros(len(indices))
        result = StepResult(
            observations=self._task.observe(outcome.states),
            rewards=outcome.rewards,
            alive_bonus=nothing,
            terminated=outcome.terminated,
            truncated=steps >= self._limit,
            warned=np.zeros(len(indices), dtype=np.bool_),
        )
        if not (is_bounded(result.rewards) and is_bounded(outcome.states)):
            self._mark_failures(indices, result)
        return result

    def close(self) -> None:
        """Forget every episode."""
        self._running[:] = False

    def _mark_failures(self, indices: NDArray[np.intp], result: StepResult) -> None:
        """Write the contract's values into the rows that are not finite, and end their episodes."""
        finite = np.isfinite(result.rewards) & np.isfinite(result.observations).all(axis=1)
        rows = np.flatnonzero(~finite)
        failed = StepResult.of_failures(len(rows), self.observation_size)
        result.write(rows.tolist(), failed)
        self._running[indices[rows]] = False
        self.last_error = f"{self._name}: a reward or an observation is not finite"

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[np.float32]:
        given = number_array(actions)
        with np.errstate(over="ignore"):  # such rows fail
            array = given.astype(np.float32)
        expected = (count, *self._task.action_space.shape)
        if array.shape != expected:
            raise StructuredLayersError(
                f"actions must have shape {expected} (slots, action_size), got {array.shape}"
            )
        return array


def _find_task(env_id: str) -> type[VectorizedTask]:
    if env_id not in VECTORIZED_TASKS:
        raise StructuredLayersError(
            f"VectorizedSimulator knows {', '.join(sorted(VECTORIZED_TASKS))}, got {env_id!r}; "
            'use simulator="gymnasium" for other environments'
        )
    return VECTORIZED_TASKS[env_id]
