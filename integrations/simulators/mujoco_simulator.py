"""MuJoCo stepped directly, with everything but the physics done once per batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import MissingDependencyError, StructuredLayersError

from .base import Simulator, Slots, StepResult, checked_seeds, describe, not_running_error
from .tasks import TASKS, Task, Transition

Floats = NDArray[np.float64]


class Episode(NamedTuple):
    """One slot's MjData and the views into it, taken once."""

    data: Any
    ctrl: Floats
    qpos: Floats
    qvel: Floats


class Batch(NamedTuple):
    """The episodes of one choice of slots, regrouped for the loop over them."""

    slots: NDArray[np.intp]
    datas: list[Any]
    ctrls: list[Floats]
    qpos: list[Floats]
    qvel: list[Floats]


class MujocoSimulator(Simulator):
    """Steps a task in `TASKS` as Gymnasium's own environment does, bit for bit.

    Each slot has its own MjData, since a state that is copied in and out loses the solver's warm
    start and drifts from Gymnasium's trajectory. A step writes the controls, calls `mj_step` and
    copies positions and velocities; the task turns those into observations and rewards for the
    whole batch at once.

    Args:
        env_id: an id in `TASKS`.
        capacity: how many episodes may run at once, at most 256.

    Example:
        >>> simulator = MujocoSimulator("Swimmer-v5", capacity=2)
        >>> simulator.reset([0, 1], seeds=[7, 8]).shape
        (2, 8)
        >>> simulator.step([1], np.zeros((1, 2), dtype=np.float32)).rewards.shape
        (1,)
    """

    def __init__(self, env_id: str, capacity: int = 64) -> None:
        """Compile the model; the data of a slot is made at its first reset."""
        super().__init__(capacity)
        self._name = env_id
        self._task = _find_task(env_id)
        self._mujoco = _import_mujoco()
        self._model = _compile_model(self._mujoco, self._task)
        self.action_space = _control_space(self._model)
        self.time_limit = self._task.time_limit
        nq, nv = self._model.nq, self._model.nv
        self.observation_size = self._task.observe(np.zeros((1, nq)), np.zeros((1, nv))).shape[1]
        self.observation_shape = (self.observation_size,)
        self._seconds = self._model.opt.timestep * self._task.frame_skip
        self._qpos = np.zeros((capacity, nq))
        self._num_steps = np.zeros(capacity, dtype=np.int64)
        self._episodes: list[Episode | None] = [None] * capacity
        self._batch: Batch | None = None

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot, see `Simulator.reset`."""
        indices = self._checked_slots(slots)
        values = checked_seeds(seeds, len(indices))
        qpos = np.empty((len(indices), self._model.nq))
        qvel = np.empty((len(indices), self._model.nv))
        for row, (slot, seed) in enumerate(zip(indices.tolist(), values, strict=True)):
            try:
                qpos[row], qvel[row] = self._start_episode(slot, seed)
            except Exception as error:
                self._drop(slot, describe(error))
                qpos[row], qvel[row] = np.nan, np.nan
        self._qpos[indices] = qpos
        self._num_steps[indices] = 0
        return self._task.observe(qpos, qvel)

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot, see `Simulator.step`."""
        batch = self._batch_of(slots)
        controls = self._checked_actions(actions, len(batch.slots))
        failures = self._advance(batch, controls)
        # The number of columns is spelled out for a batch without slots.
        qpos = np.array(batch.qpos).reshape(-1, self._model.nq)
        qvel = np.array(batch.qvel).reshape(-1, self._model.nv)
        before = self._qpos[batch.slots]
        self._qpos[batch.slots] = qpos
        steps = self._num_steps[batch.slots] + 1
        self._num_steps[batch.slots] = steps

        observations = self._task.observe(qpos, qvel)
        outcome = self._task.judge(Transition(before, qpos, qvel, controls, self._seconds))
        result = StepResult(observations, *outcome, steps >= self._task.time_limit)
        finite = np.isfinite(outcome.rewards) & np.isfinite(observations).all(axis=1)
        if failures or not finite.all():
            self._mark_failures(batch, result, finite, failures)
        return result

    def close(self) -> None:
        """Free the data of every slot."""
        self._episodes = [None] * self.capacity
        self._batch = None

    def _advance(self, batch: Batch, controls: NDArray[np.float32]) -> dict[int, str]:
        """Step the physics of every slot; the rows that raised, with what they said."""
        mj_step, model, frame_skip = self._mujoco.mj_step, self._model, self._task.frame_skip
        # MuJoCo's controls are float64: one conversion for the batch instead of one a slot.
        values = controls.astype(np.float64)
        failures: dict[int, str] = {}
        for row, (ctrl, value, data) in enumerate(
            zip(batch.ctrls, values, batch.datas, strict=True)
        ):
            try:
                ctrl[...] = value
                mj_step(model, data, frame_skip)
            except Exception as error:
                failures[row] = describe(error)
        return failures

    def _mark_failures(
        self, batch: Batch, result: StepResult, finite: NDArray[np.bool_], failures: dict[int, str]
    ) -> None:
        """Write the contract's values into the failed rows and drop their episodes."""
        for row in np.flatnonzero(~finite).tolist():
            failures.setdefault(row, "a reward or an observation is not finite")
        rows = list(failures)
        failed = StepResult.of_failures(len(rows), self.observation_size)
        for column, values in zip(result, failed, strict=True):
            column[rows] = values
        for row, reason in failures.items():
            self._drop(int(batch.slots[row]), reason)

    def _start_episode(self, slot: int, seed: int) -> tuple[Floats, Floats]:
        """Reset a slot's data in Gymnasium's order of calls and draws."""
        episode = self._episodes[slot]
        if episode is None:
            data = self._mujoco.MjData(self._model)
            episode = Episode(data, data.ctrl, data.qpos, data.qvel)
            self._episodes[slot] = episode
            self._batch = None
        self._mujoco.mj_resetData(self._model, episode.data)
        generator, _ = np_random(seed)
        qpos, qvel = self._task.start(generator, self._model.qpos0, np.zeros(self._model.nv))
        episode.qpos[:] = qpos
        episode.qvel[:] = qvel
        self._mujoco.mj_forward(self._model, episode.data)
        return episode.qpos, episode.qvel

    def _drop(self, slot: int, reason: str) -> None:
        """Record a failure and forget the slot's data."""
        self.last_error = f"{self._name}: {reason}"
        self._episodes[slot] = None
        self._batch = None

    def _batch_of(self, slots: Slots) -> Batch:
        """The regrouped episodes; most steps name the same slots as the step before."""
        if self._batch is None or not np.array_equal(self._batch.slots, np.asarray(slots)):
            indices = self._checked_slots(slots)
            episodes = [self._running(slot) for slot in indices.tolist()]
            self._batch = Batch(
                indices,
                [episode.data for episode in episodes],
                [episode.ctrl for episode in episodes],
                [episode.qpos for episode in episodes],
                [episode.qvel for episode in episodes],
            )
        return self._batch

    def _running(self, slot: int) -> Episode:
        episode = self._episodes[slot]
        if episode is None:
            raise not_running_error(slot)
        return episode

    def _checked_actions(self, actions: ArrayLike, count: int) -> NDArray[np.float32]:
        """The actions as (count, nu) float32, in which Gymnasium computes the control cost."""
        array = np.ascontiguousarray(actions, dtype=np.float32)
        if array.shape != (count, self._model.nu):
            raise StructuredLayersError(
                f"actions must have shape {(count, self._model.nu)} (slots, action_size), "
                f"got {array.shape}"
            )
        return array


def _find_task(env_id: str) -> Task:
    if env_id not in TASKS:
        raise StructuredLayersError(
            f"MujocoSimulator knows {', '.join(sorted(TASKS))}, got {env_id!r}; "
            'use simulator="gymnasium" for other environments'
        )
    return TASKS[env_id]


def _import_mujoco() -> ModuleType:
    try:
        import mujoco
    except ImportError as error:
        raise MissingDependencyError("MujocoSimulator", "evolution") from error
    module: ModuleType = mujoco
    return module


def _compile_model(mujoco: ModuleType, task: Task) -> Any:
    """Compile Gymnasium's model without MuJoCo's remarks on its XML.

    MuJoCo would print that `half_cheetah.xml` uses a deprecated attribute, and log it to a file in
    the working directory: nothing that a user can change.
    """
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / task.xml
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    finally:
        mujoco.set_mju_user_warning(handler)


def _control_space(model: Any) -> gymnasium.spaces.Box:
    low, high = model.actuator_ctrlrange.astype(np.float32).T
    return gymnasium.spaces.Box(low=low, high=high, dtype=np.float32)
