"""MinitaurPMTG: a policy that modulates a generator of leg movements."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils

from structured_layers.errors import StructuredLayersError

from ..argument_values import check_numbers
from .leg import motor_angles
from .model_env import Floats, bounded_space, unbounded
from .quadruped import QuadrupedEnv
from .trajectory_generator import GAITS, HIGHEST, LOWEST, Modulation, advance, leg_poses

RESIDUAL = 0.35
"""Radians that an action of 1 adds to a leg's swing or extension."""


class MinitaurPMTGEnv(QuadrupedEnv, utils.EzPickle):
    """The quadruped with a trajectory generator: 7 observations, 13 actions.

    The first eight actions are added to the generator's swing and extension of the legs, front
    left, back left, front right and back right; the last five are the generator's speed, intensity,
    height of the front legs, height of the back legs, and stance-to-swing ratio, from their lowest
    value at −1 to their highest at 1. The reward is the distance gained along x, in meters.

    Args:
        frame_skip: physics steps of 1 ms per action.
        reset_noise_scale: radians by which a motor's first angle is off at most.
        gait: how the legs' phases differ, one of "walk", "trot", "bound", "pace" and "pronk".
        desired_speed: the last observation, in m/s. The reward does not depend on it.
        render_options: `render_mode`, `width`, `height` and what else `MujocoEnv` takes.

    Example:
        >>> import gymnasium
        >>> name = "structured_layers.integrations.envs:structured_layers/MinitaurPMTG-v0"
        >>> env = gymnasium.make(name)
        >>> observation, _ = env.reset(seed=0)
        >>> observation.shape, env.action_space.shape
        ((7,), (13,))
        >>> env.close()
    """

    def __init__(
        self,
        frame_skip: int = 6,
        reset_noise_scale: float = 0.02,
        gait: str = "trot",
        desired_speed: float = 1.0,
        **render_options: Any,
    ) -> None:
        """Build the model."""
        utils.EzPickle.__init__(
            self, frame_skip, reset_noise_scale, gait, desired_speed, **render_options
        )
        check_numbers(desired_speed=desired_speed)
        if not isinstance(gait, str) or gait not in GAITS:
            raise StructuredLayersError(f"gait must be one of {', '.join(GAITS)}, got {gait!r}")
        self._offsets = np.array(GAITS[gait])
        self._desired_speed = desired_speed
        self._phase = np.zeros(())
        angles, rates, others = np.full(2, np.pi), unbounded(2), [1.0, 1.0]
        space = bounded_space(np.concatenate([angles, rates, others, unbounded(1)]))
        super().__init__(frame_skip, 13, space, reset_noise_scale, **render_options)

    def step(self, action: Any) -> tuple[Floats, np.float64, bool, bool, dict[str, np.float64]]:
        """Move the generator on, add the residuals and move."""
        action = self._clipped(action)
        modulation = denormalized(action[8:])
        self._phase = advance(self._phase, self.dt * modulation.speed, modulation.ratio)
        phases = advance(self._phase, self._offsets, modulation.ratio)
        poses = np.stack(leg_poses(phases, modulation), axis=1)
        swing, extension = (poses + RESIDUAL * action[:8].reshape(4, 2)).T
        reward, fallen, info = self._move(motor_angles(swing, extension))
        self._show()
        return self._get_obs(), reward, fallen, False, info

    def reset_model(self) -> Floats:
        """Begin an episode standing, the generator at the beginning of a stride."""
        self._phase = np.zeros(())
        self._stand(denormalized(np.zeros(5)).front_height)
        return self._get_obs()

    def _get_obs(self) -> Floats:
        """Roll, pitch, their rates, cosine and sine of the phase, and the desired speed."""
        w, x, y, z = self._orientation()
        roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
        rates = self.data.qvel[3:5]
        phase = self._phase
        return np.array([roll, pitch, *rates, np.cos(phase), np.sin(phase), self._desired_speed])


def denormalized(actions: Floats) -> Modulation:
    """The generator's parameters for five actions in [−1, 1]."""
    low, high = np.array(LOWEST), np.array(HIGHEST)
    return Modulation(*(low + (actions + 1) / 2 * (high - low)).tolist())
