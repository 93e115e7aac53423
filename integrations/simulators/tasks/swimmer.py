"""Swimmer-v5: three links in a viscous fluid, rewarded for speed along x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import control_cost, forward_velocity, nothing_ends, positions_and, uniform_start


@dataclass(frozen=True, kw_only=True)
class Swimmer(AssetTask):
    """Gymnasium's SwimmerEnv."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.swimmer_v5:SwimmerEnv"

    xml_file: str = "swimmer.xml"
    frame_skip: int = 4
    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 0.0001
    reset_noise_scale: float = 0.1
    exclude_current_positions_from_observation: bool = True

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on positions and velocities."""
        return uniform_start(generator, model, self.reset_noise_scale)

    def remember(self, state: State, model: Any) -> Floats:
        """Remember x, (n, 1)."""
        return state["qpos"][:, :1]

    def observe(self, state: State) -> Floats:
        """Angles without the position in the plane, then all velocities."""
        skipped = 2 if self.exclude_current_positions_from_observation else 0
        return positions_and(state, state["qvel"], skipped=skipped)

    def judge(self, step: Step) -> Outcome:
        """Forward velocity minus control cost."""
        forward = self.forward_reward_weight * forward_velocity(step)
        rewards = forward - control_cost(step, self.ctrl_cost_weight)
        return nothing_ends(rewards, memory=step.state["qpos"][:, :1])
