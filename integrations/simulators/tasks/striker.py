"""structured_layers/Striker-v0: an arm hits a ball so that it rolls into a goal."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from structured_layers.integrations.envs.striker_model import (
    STRIKE_DISTANCE,
    striker_model,
    striker_start,
)

from .base import Floats, Outcome, State, Step, Task
from .models import without_remarks
from .terms import control_cost, norm, nothing_ends

LEAST, STRUCK, STRIKE_PLACE = 9, 10, slice(11, 14)
"""Columns of the memory behind the places of hand, ball and goal: the ball's least distance to the
goal, whether the hand was ever close to the ball, and where it last was."""


@dataclass(frozen=True, kw_only=True)
class Striker(Task):
    """StrikerEnv, whose reward belongs to the state before the step."""

    entry_point: ClassVar[str] = "structured_layers.integrations.envs.striker:StrikerEnv"
    time_limit: ClassVar[int] = 100
    fixed_observation_size: ClassVar[int | None] = 23

    frame_skip: int = 5
    reward_dist_weight: float = 3.0
    reward_control_weight: float = 0.1
    reward_near_weight: float = 0.5

    def compile(self, mujoco: ModuleType) -> Any:
        """Build the model from Gymnasium's Pusher."""
        with without_remarks(mujoco):
            return striker_model()

    def views(self, data: Any) -> dict[str, Floats]:
        """State, and where the tip of the arm, the ball and the goal are."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "tip": data.body("tips_arm").xpos,
            "object": data.body("object").xpos,
            "goal": data.body("goal").xpos,
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """See `striker_start`."""
        return striker_start(generator, model)

    def remember(self, state: State, model: Any) -> Floats:
        """No distance yet, no strike, and the places that the first step is judged by."""
        memory = np.zeros((len(state["qpos"]), STRIKE_PLACE.stop))
        memory[:, :LEAST] = _places(state)
        memory[:, LEAST] = np.inf
        return memory

    def observe(self, state: State) -> Floats:
        """Positions and velocities of the joints; tip, ball and goal."""
        joints = (state["qpos"][:, :7], state["qvel"][:, :7])
        return np.concatenate((*joints, _places(state)), axis=1)

    def judge(self, step: Step) -> Outcome:
        """Least distance to the goal, control cost, and the distance to hand or strike."""
        memory = step.memory.copy()
        tip, ball, goal = (step.memory[:, i : i + 3] for i in (0, 3, 6))
        reach = norm(ball - tip)
        struck_now = reach < STRIKE_DISTANCE
        memory[:, STRUCK] = np.logical_or(step.memory[:, STRUCK], struck_now)
        memory[struck_now, STRIKE_PLACE] = tip[struck_now]
        memory[:, LEAST] = np.minimum(step.memory[:, LEAST], norm(ball - goal))
        strike = norm(ball - memory[:, STRIKE_PLACE])
        near = np.where(memory[:, STRUCK] == 1, strike, reach)

        rewards = -memory[:, LEAST] * self.reward_dist_weight
        rewards = rewards - control_cost(step, self.reward_control_weight)
        rewards = rewards - near * self.reward_near_weight
        memory[:, :LEAST] = _places(step.state)
        return nothing_ends(rewards, memory=memory)


def _places(state: State) -> Floats:
    """Where tip, ball and goal are, (n, 9)."""
    return np.concatenate((state["tip"], state["object"], state["goal"]), axis=1)
