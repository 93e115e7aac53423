"""MuJoCo stepped directly, with everything but the physics done once per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import MissingDependencyError, StructuredLayersError

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
from .instability import Listener
from .mujoco_batch import Batch, Episode, read_shapes
from .tasks import TASKS, Step, Task, task_name

Floats = NDArray[np.float64]


class MujocoSimulator(Simulator):
    """Steps a task in `TASKS` as Gymnasium's own environment does, bit for bit.

    Each slot has its own MjData, since a state that is copied in and out loses the solver's warm
    start and drifts from Gymnasium's trajectory. A step writes the controls, calls `mj_step` and
    reads what the task asks for; the task turns that into observations and rewards for the whole
    batch at once.

    It differs in one thing. Where MuJoCo says that the physics became unstable, it starts the
    model anew in the middle of a step and Gymnasium goes on from there; here the episode ends, and
    its row is `warned`.

    Args:
        env_id: an id in `TASKS`.
        capacity: how many episodes may run at once, at most 256.
        env_config: arguments of Gymnasium's constructor, and `max_episode_steps`.

    Example:
        >>> simulator = MujocoSimulator("Swimmer-v5", capacity=2)
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 8)
        >>> simulator.step([1], np.zeros((1, 2), dtype=np.float32)).rewards.shape
        (1,)
    """

    def __init__(
        self, env_id: str, capacity: int = 64, *, env_config: Mapping[str, Any] | None = None
    ) -> None:
        """Compile the model; the data of a slot is made at its first reset."""
        super().__init__(capacity)
        self._name = env_id
        kind = _find_task(env_id)
        arguments, self._limit = split_time_limit(
            env_id, checked_config(env_config), kind.time_limit
        )
        self.time_limit = self._limit
        self._task = make_with(kind, env_id, arguments)
        self._mujoco = _import_mujoco()
        self._model = self._task.compile(self._mujoco)
        self.action_space = _control_space(self._model)
        self._seconds = self._model.opt.timestep * self._task.frame_skip
        self._listener = Listener(self._mujoco, env_id)
        self._episodes: list[Episode | None] = [None] * capacity
        self._batch: Batch | None = None
        self._num_steps = np.zeros(capacity, dtype=np.int64)
        memory_size = self._try_task()
        self._memory = np.zeros((capacity, memory_size))
        self.observation_shape = (self.observation_size,)

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`."""
        indices = self._checked_slots(slots)
        values = checked_seeds(seeds, len(indices))
        is_started = [
            self._try_to_start(slot, seed)
            for slot, seed in zip(indices.tolist(), values, strict=True)
        ]
        if all(is_started):
            return self._first_observations(indices)
        observations = np.full((len(indices), self.observation_size), np.nan)
        observations[is_started] = self._first_observations(indices[is_started])
        return observations

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot, see `Simulator.step`."""
        batch = self._batch_of(slots)
        controls = self._checked_actions(actions, len(batch.slots))
        failures = self._advance(batch, controls)
        state = batch.read(self._shapes)
        steps = self._num_steps[batch.slots] + 1
        self._num_steps[batch.slots] = steps

        memory = self._memory[batch.slots]
        with np.errstate(invalid="ignore", over="ignore"):  # such rows are marked below
            observations = self._task.observe(state)
            outcome = self._task.judge(Step(state, memory, controls, self._seconds, self._model))
        self._memory[batch.slots] = outcome.memory
        warned = np.zeros(len(steps), dtype=np.bool_)
        result = StepResult(observations, *outcome[:3], steps >= self._limit, warned)
        if self._listener.heard:
            self._mark_warnings(batch, result, failures)
        if failures or not (is_bounded(outcome.rewards) and is_bounded(observations)):
            self._mark_failures(batch, result, failures)
        return result

    def close(self) -> None:
        """Free the data of every slot."""
        self._episodes = [None] * self.capacity
        self._batch = None

    def _advance(self, batch: Batch, controls: NDArray[np.float32]) -> dict[int, str]:
        """Step the physics of every slot; the rows that raised, with what they said."""
        mj_step, model, frame_skip = self._mujoco.mj_step, self._model, self._task.frame_skip
        post = self._mujoco.mj_rnePostConstraint if self._task.contact_forces else None
        # MuJoCo's controls are float64: one conversion for the batch instead of one a slot.
        values = controls.astype(np.float64)
        failures: dict[int, str] = {}
        with self._listener:
            for row, (ctrl, value, data) in enumerate(
                zip(batch.ctrls, values, batch.datas, strict=True)
            ):
                try:
                    ctrl[...] = value
                    mj_step(model, data, frame_skip)
                    if post is not None:
                        post(model, data)
                except Exception as error:
                    failures[row] = describe(error)
        return failures

    def _mark_warnings(self, batch: Batch, result: StepResult, failures: dict[int, str]) -> None:
        """Write the contract's values into the rows whose physics became unstable."""
        unstable, bad_controls = self._listener.look_at(batch.datas)
        result.write(unstable, StepResult.of_warnings(len(unstable), self.observation_size))
        for row in bad_controls:
            failures.setdefault(row, "an action is not finite")

    def _mark_failures(self, batch: Batch, result: StepResult, failures: dict[int, str]) -> None:
        """Write the contract's values into the failed rows and drop their episodes."""
        finite = np.isfinite(result.rewards) & np.isfinite(result.observations).all(axis=1)
        for row in np.flatnonzero(~finite).tolist():
            failures.setdefault(row, "a reward or an observation is not finite")
        failed = StepResult.of_failures(len(failures), self.observation_size)
        result.write(list(failures), failed)
        for row, reason in failures.items():
            self._drop(int(batch.slots[row]), reason)

    def _try_to_start(self, slot: int, seed: int) -> bool:
        """Start an episode; False if that raised."""
        try:
            self._start_episode(slot, seed)
        except Exception as error:
            self._drop(slot, describe(error))
            return False
        return True

    def _first_observations(self, indices: NDArray[np.intp]) -> Floats:
        """Observe episodes that have just begun, and remember what their tasks want to know."""
        state = self._regrouped(indices).read(self._shapes)
        self._memory[indices] = self._task.remember(state, self._model)
        self._num_steps[indices] = 0
        return self._task.observe(state)

    def _start_episode(self, slot: int, seed: int) -> None:
        """Reset a slot's data in Gymnasium's order of calls and draws."""
        episode = self._episodes[slot]
        if episode is None:
            episode = self._new_episode()
            self._episodes[slot] = episode
            self._batch = None
        self._mujoco.mj_resetData(self._model, episode.data)
        generator, _ = np_random(seed)
        episode.qpos[:], episode.qvel[:] = self._task.start(generator, self._model)
        self._mujoco.mj_forward(self._model, episode.data)

    def _new_episode(self) -> Episode:
        data = self._mujoco.MjData(self._model)
        return Episode.of(data, self._task.views(data))

    def _try_task(self) -> int:
        """Run the task once on a state of its own: it tells the sizes, and if the model fits.

        Returns:
            How many numbers the task remembers of an episode.
        """
        try:
            batch = Batch.of([0], [self._new_episode()])
            self._shapes = read_shapes(self._task.views(batch.datas[0]))
            with np.errstate(all="ignore"):
                state = batch.read(self._shapes)
                memory = self._task.remember(state, self._model)
                actions = np.zeros((1, self._model.nu), dtype=np.float32)
                self._task.judge(Step(state, memory, actions, self._seconds, self._model))
                self.observation_size = self._task.observe(state).shape[1]
        except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
            raise self._misfit(str(error.args[0] if error.args else error)) from error
        declared = self._task.fixed_observation_size
        if declared not in (None, self.observation_size):
            raise self._misfit(f"it gives {self.observation_size} observations, not {declared}")
        return int(memory.shape[1])

    def _misfit(self, reason: str) -> StructuredLayersError:
        return StructuredLayersError(
            f"the model does not fit {self._name}: {reason}; keep the joints, bodies and sites of "
            "Gymnasium's own model"
        )

    def _drop(self, slot: int, reason: str) -> None:
        """Record a failure and forget the slot's data."""
        self.last_error = f"{self._name}: {reason}"
        self._episodes[slot] = None
        self._batch = None

    def _batch_of(self, slots: Slots) -> Batch:
        """The regrouped episodes; most steps name the same slots as the step before."""
        if self._batch is None or not self._batch.is_of(slots):
            self._batch = self._regrouped(self._checked_slots(slots))
        return self._batch

    def _regrouped(self, indices: NDArray[np.intp]) -> Batch:
        return Batch.of(indices, [self._running(slot) for slot in indices.tolist()])

    def _running(self, slot: int) -> Episode:
        episode = self._episodes[slot]
        if episode is None:
            raise not_running_error(slot)
        return episode

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[np.float32]:
        """The actions as (count, nu) float32, in which Gymnasium computes the control cost."""
        array = number_array(actions)
        if array.dtype != np.float32:
            with np.errstate(over="ignore"):  # such rows fail
                array = array.astype(np.float32)
        array = np.ascontiguousarray(array)
        if array.shape != (count, self._model.nu):
            raise StructuredLayersError(
                f"actions must have shape {(count, self._model.nu)} (slots, action_size), "
                f"got {array.shape}"
            )
        return array


def _find_task(env_id: str) -> type[Task]:
    if task_name(env_id) not in TASKS:
        raise StructuredLayersError(
            f"MujocoSimulator knows {', '.join(sorted(TASKS))}, got {env_id!r}; "
            'use simulator="gymnasium" for other environments'
        )
    return TASKS[task_name(env_id)]


def _import_mujoco() -> ModuleType:
    try:
        import mujoco
    except ImportError as error:
        raise MissingDependencyError("MujocoSimulator", "evolution") from error
    module: ModuleType = mujoco
    return module


def _control_space(model: Any) -> gymnasium.spaces.Box:
    low, high = model.actuator_ctrlrange.astype(np.float32).T
    return gymnasium.spaces.Box(low=low, high=high, dtype=np.float32)
