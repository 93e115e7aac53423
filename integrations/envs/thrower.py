"""Thrower: an arm throws a ball into a box on the floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils

from ..argument_values import check_numbers
from .arm import ArmEnv, Places
from .model_env import Floats
from .thrower_model import GROUND, thrower_model, thrower_start


class ThrowerEnv(ArmEnv, utils.EzPickle):
    """Gym's Thrower, rebuilt.

    The reward is −(horizontal distance of ball and goal) − 0.002·‖action‖². Once the ball's center
    was below −0.25, the place where it then was counts instead of the ball.

    Args:
        frame_skip: physics steps of 10 ms per action.
        reward_dist_weight: of the ball's distance to the goal.
        reward_control_weight: of the squared actions.
        render_options: `render_mode`, `width`, `height` and what else `MujocoEnv` takes.

    Example:
        >>> import gymnasium
        >>> env = gymnasium.make("structured_layers.integrations.envs:structured_layers/Thrower-v0")
        >>> observation, _ = env.reset(seed=0)
        >>> observation[17:20].tolist()  # where the ball is
        [0.5, -0.8, 0.275]
        >>> env.close()
    """

    bodies = ("r_wrist_roll_link", "ball", "goal")

    def __init__(
        self,
        frame_skip: int = 5,
        reward_dist_weight: float = 1.0,
        reward_control_weight: float = 0.002,
        **render_options: Any,
    ) -> None:
        """Build the model."""
        utils.EzPickle.__init__(
            self, frame_skip, reward_dist_weight, reward_control_weight, **render_options
        )
        check_numbers(
            reward_dist_weight=reward_dist_weight, reward_control_weight=reward_control_weight
        )
        self._dist_weight = reward_dist_weight
        self._control_weight = reward_control_weight
        self._landing_place: Floats | None = None
        super().__init__(frame_skip, **render_options)

    def build_model(self) -> Any:
        """See `thrower_model`."""
        return thrower_model()

    def start(self) -> tuple[Floats, Floats]:
        """See `thrower_start`."""
        self._landing_place = None
        return thrower_start(self.np_random, self.model)

    def judge(self, places: Places, action: Any) -> dict[str, np.float64]:
        """Return the two terms of the reward."""
        _, ball, goal = places
        if self._landing_place is None and ball[2] < GROUND:
            self._landing_place = ball
        if self._landing_place is not None:
            ball = self._landing_place
        return {
            "reward_dist": np.float64(-np.linalg.norm(ball[:2] - goal[:2]) * self._dist_weight),
            "reward_ctrl": np.float64(-np.square(action).sum() * self._control_weight),
        }
