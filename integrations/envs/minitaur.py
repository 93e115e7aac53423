"""Minitaur: eight motors of a quadruped, set by a policy one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils

from .leg import motor_angles
from .model_env import Floats, bounded_space, unbounded
from .quadruped import QuadrupedEnv

REACH = np.pi / 4
"""Radians of swing or extension for an action of 1."""

EXTENSION = np.pi / 8
"""Of all legs when the actions are 0."""


class MinitaurEnv(QuadrupedEnv, utils.EzPickle):
    """The bare quadruped: 28 observations, 8 actions.

    The first four actions swing the legs forwards, by π/4 at 1; the last four shorten them, again
    by π/4 of the motors' angles. The reward is the distance gained along x, in meters.

    Args:
        frame_skip: physics steps of 1 ms per action.
        reset_noise_scale: radians by which a motor's first angle is off at most.
        render_options: `render_mode`, `width`, `height` and what else `MujocoEnv` takes.

    Example:
        >>> import gymnasium
        >>> name = "structured_layers.integrations.envs:structured_layers/Minitaur-v0"
        >>> env = gymnasium.make(name)
        >>> observation, _ = env.reset(seed=0)
        >>> observation.shape, env.action_space.shape
        ((28,), (8,))
        >>> env.close()
    """

    def __init__(
        self, frame_skip: int = 10, reset_noise_scale: float = 0.02, **render_options: Any
    ) -> None:
        """Build the model."""
        utils.EzPickle.__init__(self, frame_skip, reset_noise_scale, **render_options)
        space = bounded_space(np.concatenate([unbounded(24), np.ones(4)]))
        super().__init__(frame_skip, 8, space, reset_noise_scale, **render_options)

    def step(self, action: Any) -> tuple[Floats, np.float64, bool, bool, dict[str, np.float64]]:
        """Set the eight motors' targets and move."""
        swing, shortening = REACH * self._clipped(action).reshape(2, 4)
        reward, fallen, info = self._move(motor_angles(swing, EXTENSION - shortening))
        self._show()
        return self._get_obs(), reward, fallen, False, info

    def reset_model(self) -> Floats:
        """Begin an episode in the posture of zero actions."""
        self._stand(EXTENSION)
        return self._get_obs()

    def _get_obs(self) -> Floats:
        """Motor angles, velocities and torques, and the body's orientation as (x, y, z, w)."""
        scalar, *vector = self._orientation()
        return np.concatenate(
            [
                self.data.qpos[self._motor_positions],
                self.data.qvel[self._motor_velocities],
                self.data.actuator_force,
                [*vector, scalar],
            ]
        )
