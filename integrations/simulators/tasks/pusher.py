"""Pusher-v5: a seven-joint arm that pushes a cylinder to a goal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import control_cost, norm, nothing_ends


@dataclass(frozen=True, kw_only=True)
class Pusher(AssetTask):
    """Gymnasium's PusherEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.pusher_v5:PusherEnv"
    time_limit: ClassVar[int] = 100
    fixed_observation_size: ClassVar[int | None] = 23

    xml_file: str = "pusher_v5.xml"
    frame_skip: int = 5
    reward_near_weight: float = 0.5
    reward_dist_weight: float = 1
    reward_control_weight: float = 0.1

    def views(self, data: Any) -> dict[str, Floats]:
        """State, and where the tip of the arm, the object and the goal are."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "tip": data.body("tips_arm").xpos,
            "object": data.body("object").xpos,
            "goal": data.body("goal").xpos,
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """The object at a random place that is not yet the goal, noise on the arm's velocities."""
        qpos = model.qpos0.copy()
        place = _random_place(generator)
        while not np.linalg.norm(place) > 0.17:
            place = _random_place(generator)
        qpos[-4:-2] = place
        qpos[-2:] = 0
        qvel = generator.uniform(low=-0.005, high=0.005, size=model.nv)
        qvel[-4:] = 0
        return qpos, qvel

    def observe(self, state: State) -> Floats:
        """Positions and velocities of the joints; tip, object and goal."""
        joints = (state["qpos"][:, :7], state["qvel"][:, :7])
        return np.concatenate((*joints, state["tip"], state["object"], state["goal"]), axis=1)

    def judge(self, step: Step) -> Outcome:
        """Minus the distances of object and goal and of object and tip, minus control cost."""
        place = step.state["object"]
        near = -norm(place - step.state["tip"]) * self.reward_near_weight
        distance = -norm(place - step.state["goal"]) * self.reward_dist_weight
        control = control_cost(step, self.reward_control_weight)
        return nothing_ends(distance - control + near, memory=step.memory)


def _random_place(generator: np.random.Generator) -> Floats:
    x = generator.uniform(low=-0.3, high=0, size=1)
    y = generator.uniform(low=-0.2, high=0.2, size=1)
    return np.concatenate((x, y))
