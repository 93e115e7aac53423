"""Walker2d-v5: two legs in the plane that have to stay upright while they walk forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import (
    Pair,
    between,
    control_cost,
    forward_velocity,
    healthy_outcome,
    positions_and,
    uniform_start,
)


@dataclass(frozen=True, kw_only=True)
class Walker2d(AssetTask):
    """Gymnasium's Walker2dEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv"

    xml_file: str = "walker2d_v5.xml"
    frame_skip: int = 4
    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 0.001
    healthy_reward: float = 1.0
    terminate_when_unhealthy: bool = True
    healthy_z_range: Pair = (0.8, 2.0)
    healthy_angle_range: Pair = (-1.0, 1.0)
    reset_noise_scale: float = 0.005
    exclude_current_positions_from_observation: bool = True

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on positions and velocities."""
        return uniform_start(generator, model, self.reset_noise_scale)

    def remember(self, state: State, model: Any) -> Floats:
        """Remember x, (n, 1)."""
        return state["qpos"][:, :1]

    def observe(self, state: State) -> Floats:
        """Positions without x, and velocities clipped to ±10."""
        skipped = 1 if self.exclude_current_positions_from_observation else 0
        return positions_and(state, np.clip(state["qvel"], -10, 10), skipped=skipped)

    def judge(self, step: Step) -> Outcome:
        """Forward velocity, the bonus for being upright, control cost."""
        qpos = step.state["qpos"]
        height = between(qpos[:, 1], self.healthy_z_range)
        return healthy_outcome(
            height & between(qpos[:, 2], self.healthy_angle_range),
            forward=self.forward_reward_weight * forward_velocity(step),
            bonus=self.healthy_reward,
            costs=control_cost(step, self.ctrl_cost_weight),
            ends=self.terminate_when_unhealthy,
            memory=qpos[:, :1],
        )
