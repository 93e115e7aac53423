"""Striker: an arm hits a ball so that it rolls into a goal."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import utils

from ..argument_values import check_numbers
from .arm import ArmEnv, Places
from .model_env import Floats
from .striker_model import STRIKE_DISTANCE, striker_model, striker_start


class StrikerEnv(ArmEnv, utils.EzPickle):
    r"""Gym's Striker, rebuilt.

    The reward is −3·(least distance of ball and goal so far) − 0.1·‖action‖² − 0.5·near. Before the
    first strike, near is the distance of ball and hand; afterwards it is the distance of the ball
    to the place where the hand last was within 0.1 of it.

    Args:
        frame_skip: physics steps of 10 ms per action.
        reward_dist_weight: of the ball's least distance to the goal.
        reward_control_weight: of the squared actions.
        reward_near_weight: of the ball's distance to the hand or to the place of the strike.
        render_options: `render_mode`, `width`, `height` and what else `MujocoEnv` takes.

    Example:
        >>> import gymnasium
        >>> env = gymnasium.make("structured_layers.integrations.envs:structured_layers/Striker-v0")
        >>> observation, _ = env.reset(seed=0)
        >>> observation[17:20].round(3).tolist()  # where the ball is
        [0.5, -0.175, -0.27]
        >>> env.close()
    """

    bodies = ("tips_arm", "object", "goal")

    def __init__(
        self,
        frame_skip: int = 5,
        reward_dist_weight: float = 3.0,
        reward_control_weight: float = 0.1,
        reward_near_weight: float = 0.5,
        **render_options: Any,
    ) -> None:
        """Build the model."""
        utils.EzPickle.__init__(
            self,
            frame_skip,
            reward_dist_weight,
            reward_control_weight,
            reward_near_weight,
            **render_options,
        )
        check_numbers(
            reward_dist_weight=reward_dist_weight,
            reward_control_weight=reward_control_weight,
            reward_near_weight=reward_near_weight,
        )
        self._dist_weight = reward_dist_weight
        self._control_weight = reward_control_weight
        self._near_weight = reward_near_weight
        self._least_distance = np.inf
        self._strike_place: Floats | None = None
        super().__init__(frame_skip, **render_options)

    def build_model(self) -> Any:
        """See `striker_model`."""
        return striker_model()

    def start(self) -> tuple[Floats, Floats]:
        """See `striker_start`."""
        self._least_distance = np.inf
        self._strike_place = None
        return striker_start(self.np_random, self.model)

    def judge(self, places: Places, action: Any) -> dict[str, np.float64]:
        """Return the three terms of the reward."""
        hand, ball, goal = places
        reach = np.linalg.norm(ball - hand)
        self._least_distance = min(self._least_distance, float(np.linalg.norm(ball - goal)))
        if reach < STRIKE_DISTANCE:
            self._strike_place = hand
        near = reach if self._strike_place is None else np.linalg.norm(ball - self._strike_place)
        return {
            "reward_dist": np.float64(-self._least_distance * self._dist_weight),
            "reward_ctrl": np.float64(-np.square(action).sum() * self._control_weight),
            "reward_near": np.float64(-near * self._near_weight),
        }
