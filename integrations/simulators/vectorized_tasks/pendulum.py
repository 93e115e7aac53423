"""Pendulum-v1: swing a pole up by a motor that is too weak to lift it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .base import Floats, VectorizedOutcome, VectorizedTask, rounded

MAX_SPEED, MAX_TORQUE, SECONDS, MASS, LENGTH = 8, 2.0, 0.05, 1.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Pendulum(VectorizedTask):
    """Gymnasium's PendulumEnv; a state is angle and angular velocity."""

    entry_point: ClassVar[str] = "gymnasium.envs.classic_control.pendulum:PendulumEnv"
    time_limit: ClassVar[int] = 200
    state_size: ClassVar[int] = 2
    observation_size: ClassVar[int] = 3
    action_space: ClassVar[gymnasium.spaces.Box] = gymnasium.spaces.Box(
        low=-MAX_TORQUE, high=MAX_TORQUE, shape=(1,), dtype=np.float32
    )

    g: float = 10.0

    def start(self, generator: np.random.Generator) -> Floats:
        """Any angle, and velocities up to 1."""
        high = np.array([np.pi, 1.0])
        return generator.uniform(low=-high, high=high)

    def observe(self, states: Floats) -> Floats:
        """Cosine and sine of the angle, and the velocity."""
        angles = states[:, 0].copy()
        return rounded(np.stack([np.cos(angles), np.sin(angles), states[:, 1]], axis=1))

    def step(
        self, states: Floats, actions: NDArray[np.float32], steps: NDArray[np.int64]
    ) -> VectorizedOutcome:
        """Turn the pole; leaning, turning and torque cost."""
        angles, speeds = states[:, 0].copy(), states[:, 1].copy()
        torques = np.clip(actions, -MAX_TORQUE, MAX_TORQUE)[:, 0]
        leaning = (angles + np.pi) % (2 * np.pi) - np.pi
        # Single precision up to here for the torques, as in Gymnasium.
        costs = _squares(leaning) + 0.1 * _squares(speeds) + 0.001 * _single_squares(torques)
        pull = 3 * self.g / (2 * LENGTH) * np.sin(angles)
        speeds = speeds + (pull + 3.0 / (MASS * LENGTH**2) * torques) * SECONDS
        speeds = np.clip(speeds, -MAX_SPEED, MAX_SPEED)
        angles = angles + speeds * SECONDS
        return VectorizedOutcome(
            np.stack([angles, speeds], axis=1), -costs, np.zeros(len(states), dtype=np.bool_)
        )


def _squares(values: Floats) -> Floats:
    """Squares by the C library's `pow`, which Gymnasium's `x ** 2` of single numbers calls."""
    return np.array([value**2 for value in values.tolist()], dtype=np.float64)


def _single_squares(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in single precision."""
    return np.array([value**2 for value in values], dtype=np.float32)
