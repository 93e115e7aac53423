"""MountainCarContinuous-v0: rock a car out of a valley."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .base import Floats, VectorizedOutcome, VectorizedTask, rounded

MIN_POSITION, MAX_POSITION, MAX_SPEED = -1.2, 0.6, 0.07
GOAL_POSITION, POWER, MAX_FORCE = 0.45, 0.0015, 1.0


@dataclass(frozen=True, kw_only=True)
class MountainCar(VectorizedTask):
    """Gymnasium's Continuous_MountainCarEnv; a state is position and velocity.

    Gymnasium computes an episode's first step in double precision and all others in single.
    """

    entry_point: ClassVar[str] = (
        "gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv"
    )
    time_limit: ClassVar[int] = 999
    state_size: ClassVar[int] = 2
    observation_size: ClassVar[int] = 2
    action_space: ClassVar[gymnasium.spaces.Box] = gymnasium.spaces.Box(
        low=-MAX_FORCE, high=MAX_FORCE, shape=(1,), dtype=np.float32
    )

    goal_velocity: float = 0

    def start(self, generator: np.random.Generator) -> Floats:
        """Near the bottom of the valley, at rest."""
        return np.array([generator.uniform(low=-0.6, high=-0.4), 0])

    def observe(self, states: Floats) -> Floats:
        """The state in single precision."""
        return rounded(states)

    def step(
        self, states: Floats, actions: NDArray[np.float32], steps: NDArray[np.int64]
    ) -> VectorizedOutcome:
        """Move the car; force costs, and the goal earns 100."""
        new_states = np.empty_like(states)
        terminated = np.zeros(len(states), dtype=np.bool_)
        for rows, kind in ((steps == 1, np.float64), (steps > 1, np.float32)):
            if rows.any():
                values = states[rows].astype(kind)
                new_states[rows], terminated[rows] = self._move(values, actions[rows, 0])
        effort = np.array([math.pow(action, 2) for action in actions[:, 0].tolist()])
        return VectorizedOutcome(
            rounded(new_states), np.where(terminated, 100.0, 0.0) - effort * 0.1, terminated
        )

    def _move(
        self, states: NDArray[Any], actions: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return positions and velocities, and whether they are at the goal."""
        position, velocity = states[:, 0], states[:, 1]
        velocity = velocity + _push(actions, position)
        velocity = np.clip(velocity, -MAX_SPEED, MAX_SPEED)
        position = np.clip(position + velocity, MIN_POSITION, MAX_POSITION)
        at_wall = (position == position.dtype.type(MIN_POSITION)) & (velocity < 0)
        velocity = np.where(at_wall, position.dtype.type(0), velocity)
        arrived = (position >= GOAL_POSITION) & (velocity >= self.goal_velocity)
        return np.stack([position, velocity], axis=1), arrived


def _push(actions: NDArray[np.float32], position: NDArray[Any]) -> NDArray[Any]:
    """The change of the velocity by motor and slope, in the precision of the velocity.

    An action that lies beyond the bounds becomes a Python number in Gymnasium, and what is computed
    from it has double precision.
    """
    slope = np.array([0.0025 * math.cos(angle) for angle in (3 * position).tolist()])
    single = actions * np.float32(POWER) - slope.astype(np.float32)
    double = np.clip(actions.astype(np.float64), -MAX_FORCE, MAX_FORCE) * POWER - slope
    beyond = np.abs(actions) > MAX_FORCE
    return np.where(beyond, double, single).astype(position.dtype)
