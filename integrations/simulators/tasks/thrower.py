"""structured_layers/Thrower-v0: an arm throws a ball into a box on the floor."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from structured_layers.integrations.envs.thrower_model import (
    GROUND,
    thrower_model,
    thrower_start,
)

from .base import Floats, Outcome, State, Step, Task
from .models import without_remarks
from .terms import control_cost, norm, nothing_ends

PLACE, GOAL, LANDED = slice(0, 3), slice(3, 5), 5
"""Columns of the memory: where the ball is, or where it landed; x and y of the goal; whether the
ball has landed."""


@dataclass(frozen=True, kw_only=True)
class Thrower(Task):
    """ThrowerEnv, whose reward belongs to the state before the step."""

    entry_point: ClassVar[str] = "structured_layers.integrations.envs.thrower:ThrowerEnv"
    time_limit: ClassVar[int] = 100
    fixed_observation_size: ClassVar[int | None] = 23

    frame_skip: int = 5
    reward_dist_weight: float = 1.0
    reward_control_weight: float = 0.002

    def compile(self, mujoco: ModuleType) -> Any:
        """Build the model from Gymnasium's Pusher."""
        with without_remarks(mujoco):
            return thrower_model()

    def views(self, data: Any) -> dict[str, Floats]:
        """State, and where the hand, the ball and the goal are."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "hand": data.body("r_wrist_roll_link").xpos,
            "ball": data.body("ball").xpos,
            "goal": data.body("goal").xpos,
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """See `thrower_start`."""
        return thrower_start(generator, model)

    def remember(self, state: State, model: Any) -> Floats:
        """The places that the first step is judged by; the ball has not landed."""
        landed = np.zeros((len(state["qpos"]), 1))
        return np.concatenate((state["ball"], state["goal"][:, :2], landed), axis=1)

    def observe(self, state: State) -> Floats:
        """Positions and velocities of the joints; hand, ball and goal."""
        joints = (state["qpos"][:, :7], state["qvel"][:, :7])
        places = (state["hand"], state["ball"], state["goal"])
        return np.concatenate((*joints, *places), axis=1)

    def judge(self, step: Step) -> Outcome:
        """Minus the distance of the goal and the ball, or where it landed; minus control cost."""
        place, goal = step.memory[:, PLACE], step.memory[:, GOAL]
        landed = (step.memory[:, LANDED] == 1) | (place[:, 2] < GROUND)
        rewards = -norm(place[:, :2] - goal) * self.reward_dist_weight
        rewards = rewards - control_cost(step, self.reward_control_weight)

        place = np.where(landed[:, None], place, step.state["ball"])
        columns = (place, step.state["goal"][:, :2], landed[:, None])
        return nothing_ends(rewards, memory=np.concatenate(columns, axis=1))
