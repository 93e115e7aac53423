"""InvertedDoublePendulum-v5: a cart that balances two poles on top of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import normal_start, scalar_squares


@dataclass(frozen=True, kw_only=True)
class InvertedDoublePendulum(AssetTask):
    """Gymnasium's InvertedDoublePendulumEnv; what it pays for being alive is no bonus here.

    Without it, falling at once would earn the most.
    """

    entry_point: ClassVar[str] = (
        "gymnasium.envs.mujoco.inverted_double_pendulum_v5:InvertedDoublePendulumEnv"
    )
    fixed_observation_size: ClassVar[int | None] = 9

    xml_file: str = "inverted_double_pendulum.xml"
    frame_skip: int = 5
    healthy_reward: float = 10.0
    reset_noise_scale: float = 0.1

    def views(self, data: Any) -> dict[str, Floats]:
        """State, the place of the upper pole's tip, the forces of constraints."""
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "tip": data.site_xpos[0],
            "qfrc_constraint": data.qfrc_constraint,
        }

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on the positions, normal noise on the velocities."""
        return normal_start(generator, model, self.reset_noise_scale)

    def observe(self, state: State) -> Floats:
        """The cart, sines and cosines of the poles, velocities, the force on the cart."""
        qpos = state["qpos"]
        angles = qpos[:, 1:].copy()  # contiguous as Gymnasium's, in case a kernel depends on it
        clipped = np.clip(state["qvel"], -10, 10)
        force = np.clip(state["qfrc_constraint"], -10, 10)[:, :1]
        return np.concatenate((qpos[:, :1], np.sin(angles), np.cos(angles), clipped, force), axis=1)

    def judge(self, step: Step) -> Outcome:
        """A reward until the tip falls to height 1, minus penalties on place and velocities."""
        x, height = step.state["tip"][:, 0], step.state["tip"][:, 2]
        qvel = step.state["qvel"]
        terminated = height <= 1
        distance = 0.01 * scalar_squares(x) + scalar_squares(height - 2)
        speed = 0.001 * scalar_squares(qvel[:, 1]) + 0.005 * scalar_squares(qvel[:, 2])
        balance = self.healthy_reward * (~terminated).astype(np.float64)
        rewards = balance - distance - speed
        return Outcome(rewards, np.zeros(len(rewards)), terminated, step.memory)
