"""Reacher-v5: a two-link arm in the plane that moves its fingertip to a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import control_cost, norm, nothing_ends


@dataclass(frozen=True, kw_only=True)
class Reacher(AssetTask):
    """Gymnasium's ReacherEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.reacher_v5:ReacherEnv"
    time_limit: ClassVar[int] = 50
    fixed_observation_size: ClassVar[int | None] = 10

    xml_file: str = "reacher.xml"
    frame_skip: int = 2
    reward_dist_weight: float = 1
    reward_control_weight: float = 1

    def views(self, data: Any) -> dict[str, Floats]:
        """State, and where fingertip and target are."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "fingertip": data.body("fingertip").xpos,
            "target": data.body("target").xpos,
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Noise on arm and velocities, the target uniform in a disk."""
        qpos = generator.uniform(low=-0.1, high=0.1, size=model.nq) + model.qpos0
        goal = generator.uniform(low=-0.2, high=0.2, size=2)
        while not np.linalg.norm(goal) < 0.2:
            goal = generator.uniform(low=-0.2, high=0.2, size=2)
        qpos[-2:] = goal
        qvel = generator.uniform(low=-0.005, high=0.005, size=model.nv)
        qvel[-2:] = 0
        return qpos, qvel

    def observe(self, state: State) -> Floats:
        """Cosines and sines of the joints, the target, joint velocities, the way to the target."""
        qpos = state["qpos"]
        angles = qpos[:, :2].copy()  # contiguous as Gymnasium's, in case a kernel depends on it
        way = (state["fingertip"] - state["target"])[:, :2]
        columns = (np.cos(angles), np.sin(angles), qpos[:, 2:], state["qvel"][:, :2], way)
        return np.concatenate(columns, axis=1)

    def judge(self, step: Step) -> Outcome:
        """Minus the distance to the target, minus control cost."""
        way = step.state["fingertip"] - step.state["target"]
        distance = -norm(way) * self.reward_dist_weight
        return nothing_ends(
            distance - control_cost(step, self.reward_control_weight), memory=step.memory
        )
