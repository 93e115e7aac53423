"""InvertedPendulum-v5: a cart that balances a pole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import AssetTask, Floats, Outcome, State, Step
from .terms import positions_and, uniform_start


@dataclass(frozen=True, kw_only=True)
class InvertedPendulum(AssetTask):
    """Gymnasium's InvertedPendulumEnv; its bonus for being alive is the reward, no bonus here."""

    entry_point: ClassVar[str] = "gymnasium.envs.mujoco.inverted_pendulum_v5:InvertedPendulumEnv"
    fixed_observation_size: ClassVar[int | None] = 4

    xml_file: str = "inverted_pendulum.xml"
    frame_skip: int = 2
    reset_noise_scale: float = 0.01

    def start(self, generator: np.random.Generator, model: Any) -> tuple[Floats, Floats]:
        """Uniform noise on positions and velocities."""
        return uniform_start(generator, model, self.reset_noise_scale)

    def observe(self, state: State) -> Floats:
        """Positions and velocities of cart and pole."""
        return positions_and(state, state["qvel"], skipped=0)

    def judge(self, step: Step) -> Outcome:
        """Earn 1 until the pole leans by more than 0.2 rad."""
        qpos, qvel = step.state["qpos"], step.state["qvel"]
        finite = np.isfinite(qpos).all(axis=1) & np.isfinite(qvel).all(axis=1)
        terminated = ~finite | (np.abs(qpos[:, 1]) > 0.2)
        rewards = (~terminated).astype(np.float64)
        return Outcome(rewards, np.zeros(len(rewards)), terminated, step.memory)
