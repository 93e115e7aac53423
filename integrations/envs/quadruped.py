"""What the Minitaur's two environments share: the robot, its starts, its reward and its falls."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from structured_layers.errors import StructuredLayersError

from ..argument_values import check_numbers
from .leg import knee_angles, leg_shape, motor_angles
from .minitaur_model import FOOT_RADIUS, HIP_Z, LEGS, MOTORS, minitaur_model
from .model_env import Floats, ModelEnv

CAMERA = {"type": 1, "trackbodyid": 1, "distance": 1.3, "azimuth": 130.0, "elevation": -18.0}
"""Of windows: type 1 is MuJoCo's camera that follows a body."""

LEAST_UPRIGHT, LEAST_HEIGHT = 0.85, 0.13


class QuadrupedEnv(ModelEnv):
    """The Minitaur, rewarded for every meter along x; a fall ends the episode.

    It has fallen when the cosine between its up direction and the world's is below 0.85, or its
    body's center below 0.13 m.
    """

    def __init__(
        self,
        frame_skip: int,
        num_actions: int,
        observation_space: spaces.Box,
        reset_noise_scale: float,
        **render_options: Any,
    ) -> None:
        """Build the model.

        Args:
            frame_skip: physics steps of 1 ms per action.
            num_actions: each is in [−1, 1].
            observation_space: of `_get_obs`.
            reset_noise_scale: radians by which a motor's first angle is off at most.
            render_options: what `MujocoEnv` takes, such as `render_mode`, `width` and `height`.
        """
        check_numbers(frame_skip=frame_skip, reset_noise_scale=reset_noise_scale)
        self._num_actions = num_actions
        self._noise_scale = reset_noise_scale
        # Pictures are taken by one of the model's cameras, and only if no other choice is made.
        if not {"camera_id", "camera_name", "default_camera_config"} & render_options.keys():
            render_options |= {"camera_name": "track", "default_camera_config": CAMERA}
        super().__init__(frame_skip, observation_space, **render_options)
        joints = [self.model.joint(name) for name in MOTORS]
        self._motor_positions = np.array([joint.qposadr[0] for joint in joints])
        self._motor_velocities = np.array([joint.dofadr[0] for joint in joints])

    def build_model(self) -> Any:
        """See `minitaur_model`."""
        return minitaur_model()

    def _set_action_space(self) -> spaces.Box:
        """The actions are not the model's controls, which are motor angles."""
        self.action_space = spaces.Box(-1.0, 1.0, (self._num_actions,), dtype=np.float32)
        return self.action_space

    def _clipped(self, action: Any) -> Floats:
        """The actions as float64 within [−1, 1]."""
        if np.shape(action) != (self._num_actions,):
            raise StructuredLayersError(
                f"actions must have shape {(self._num_actions,)}, got {np.shape(action)}"
            )
        clipped: Floats = np.clip(action, -1.0, 1.0).astype(np.float64)
        return clipped

    def _stand(self, extension: float) -> None:
        """Put the robot on its feet, all legs extended alike but for some noise on the motors."""
        targets = motor_angles(np.zeros(4), np.full(4, extension))
        noise = self.np_random.uniform(-self._noise_scale, self._noise_scale, size=len(MOTORS))
        self.data.ctrl[:] = targets
        self.set_state(standing(targets + noise), np.zeros(self.model.nv))  # type: ignore[no-untyped-call]

    def _move(self, targets: Floats) -> tuple[np.float64, bool, dict[str, np.float64]]:
        """Let the motors go for these angles; the reward, whether the robot fell, and the info."""
        before = self.data.qpos[0]
        self.do_simulation(targets, self.frame_skip)
        x, y, height, _, qx, qy, _ = self.data.qpos[:7].tolist()
        upright = 1 - 2 * (qx**2 + qy**2)
        fallen = bool(upright < LEAST_UPRIGHT or height < LEAST_HEIGHT)
        places = {"x_position": np.float64(x), "y_position": np.float64(y)}
        return np.float64(x - before), fallen, places

    def _orientation(self) -> Floats:
        """The body's quaternion of unit length, the scalar first."""
        quaternion: Floats = self.data.qpos[3:7] / np.linalg.norm(self.data.qpos[3:7])
        return quaternion


def standing(angles: Floats) -> Floats:
    """Positions (23,) of the model with these motor angles (8,), its lowest foot on the floor."""
    by_motor = dict(zip(MOTORS, angles.tolist(), strict=True))
    legs, depths = [], []
    for leg in LEGS:
        back, front = by_motor[f"{leg}_back"], by_motor[f"{leg}_front"]
        back_knee, front_knee = knee_angles(back, front)
        legs += [back, back_knee, front, front_knee]
        depths.append(leg_shape(back, front).foot[1])
    height = FOOT_RADIUS - HIP_Z - min(depths)
    return np.array([0.0, 0.0, height, 1.0, 0.0, 0.0, 0.0, *legs])
