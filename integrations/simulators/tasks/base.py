"""What a task is: a MuJoCo environment as functions on batches of states.

All functions but `start` and `views` work on a batch, one episode a row, and give each row the bits
that Gymnasium's own scalar code gives it. That is why the control cost stays in float32 like the
actions, and why no formula of a task may be rearranged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .models import compile_asset

Floats = NDArray[np.float64]
State = Mapping[str, Floats]
"""The arrays that `Task.views` names, with a leading dimension for the episodes: `state["qpos"]` is
(n, nq). They are the caller's to read, not to change."""


class Step(NamedTuple):
    """One step of n episodes.

    Attributes:
        state: after the step.
        memory: (n, k) what the task remembered, from `Task.remember` or the last `Outcome`.
        actions: (n, nu) float32.
        seconds: simulated time of the step.
        model: the MjModel, which is only read.
    """

    state: State
    memory: Floats
    actions: NDArray[np.float32]
    seconds: float
    model: Any


class Outcome(NamedTuple):
    """What a step earned.

    Attributes:
        rewards: (n,) float64, the whole reward.
        alive_bonus: (n,) float64, the part of it that Gymnasium calls `reward_survive`; 0 in
            balancing tasks, see `alive_bonus.py`.
        terminated: (n,) bool, whether the task ended the episode.
        memory: (n, k) what the next `Step` of these episodes gets.
    """

    rewards: Floats
    alive_bonus: Floats
    terminated: NDArray[np.bool_]
    memory: Floats


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A MuJoCo environment; its fields are the arguments of Gymnasium's constructor.

    A subclass is a frozen dataclass whose fields have the names and defaults of the environment's
    arguments, all of them but those that only draw pictures. `make_task` fills them from a user's
    `env_config` and refuses unknown names and wrong types, so that methods need no checks.

    A simulator uses a task in this order:

    1. `compile` once, `views` once for each slot's MjData;
    2. for every episode: `mj_resetData`, `start`, its qpos and qvel written, `mj_forward`, then
       `observe` and `remember` on the state that this left;
    3. for every step: controls written, `mj_step` for `frame_skip` times, `mj_rnePostConstraint` if
       `contact_forces`, then `observe` and `judge` on the state that this left. As in Gymnasium,
       derived quantities such as `xpos` are those of the last physics step's beginning.

    Attributes:
        frame_skip: physics steps per action.
        entry_point: of the environment that the task equals, as it is registered.
        time_limit: steps after which Gymnasium's registration truncates an episode.
        fixed_observation_size: numbers that the environment declares whatever its model is; None
            where it counts them.
    """

    entry_point: ClassVar[str]
    time_limit: ClassVar[int] = 1000
    fixed_observation_size: ClassVar[int | None] = None

    frame_skip: int

    @property
    def contact_forces(self) -> bool:
        """Whether `cfrc_ext` is read, which costs a call to `mj_rnePostConstraint` per step."""
        return False

    @abstractmethod
    def compile(self, mujoco: ModuleType) -> Any:
        """Return a new MjModel."""

    def views(self, data: Any) -> dict[str, Floats]:
        """Return the arrays of an MjData that the other methods read.

        The keys are free, except that "qpos" and "qvel" must be `data.qpos` and `data.qvel`. All
        must be views of the data's memory, such as `data.cfrc_ext` or `data.body("goal").xpos`,
        since they are taken once and read after every step. A KeyError says that the model lacks
        a name.
        """
        return {"qpos": data.qpos, "qvel": data.qvel}

    @abstractmethod
    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Return the first qpos and qvel of one episode as new arrays, with Gymnasium's draws."""

    def remember(self, state: State, model: Any) -> Floats:
        """Return what `judge` needs about n episodes that have just begun, (n, k)."""
        return np.empty((len(state["qpos"]), 0))

    @abstractmethod
    def observe(self, state: State) -> Floats:
        """Return the observations, (n, observation_size), as a new array."""

    @abstractmethod
    def judge(self, step: Step) -> Outcome:
        """Return what a step earned and what to remember of it."""


@dataclass(frozen=True, kw_only=True)
class AssetTask(Task):
    """A task whose model is one of Gymnasium's files, or a file of the user's."""

    xml_file: str

    def compile(self, mujoco: ModuleType) -> Any:
        """Compile `xml_file`, which is found as Gymnasium finds it."""
        return compile_asset(mujoco, self.xml_file)
