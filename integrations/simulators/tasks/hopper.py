"""Hopper-v5: one leg that has to stay upright while it hops forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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
class Hopper(AssetTask):
    """Gymnasium's HopperEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.hopper_v5:HopperEnv"

    xml_file: str = "hopper.xml"
    frame_skip: int = 4
    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 0.001
    healthy_reward: float = 1.0
    terminate_when_unhealthy: bool = True
    healthy_state_range: Pair = (-100.0, 100.0)
    healthy_z_range: Pair = (0.7, float("inf"))
    healthy_angle_range: Pair = (-0.2, 0.2)
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

    def is_healthy(self, state: State) -> NDArray[np.bool_]:
        """Torso high enough and upright, all but x and height within a range, (n,)."""
        qpos, qvel = state["qpos"], state["qvel"]
        bounds = self.healthy_state_range
        bounded = between(qpos[:, 2:], bounds).all(axis=1) & between(qvel, bounds).all(axis=1)
        height = between(qpos[:, 1], self.healthy_z_range)
        healthy: NDArray[np.bool_] = (
            bounded & height & between(qpos[:, 2], self.healthy_angle_range)
        )
        return healthy

    def judge(self, step: Step) -> Outcome:
        """Forward velocity, the bonus for being healthy, control cost."""
        return healthy_outcome(
            self.is_healthy(step.state),
            forward=self.forward_reward_weight * forward_velocity(step),
            bonus=self.healthy_reward,
            costs=control_cost(step, self.ctrl_cost_weight),
            ends=self.terminate_when_unhealthy,
            memory=step.state["qpos"][:, :1],
        )
