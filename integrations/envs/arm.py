"""The Gymnasium environment that Striker and Thrower are kinds of."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..argument_values import check_numbers
from .model_env import Floats, ModelEnv, bounded_space, unbounded

CAMERA: dict[str, Any] = {
    "trackbodyid": -1,
    "lookat": np.array([0.35, -0.05, -0.1]),
    "distance": 2.5,
    "azimuth": 150.0,
    "elevation": -25.0,
}


class Places(NamedTuple):
    """Where the hand, the thing that it moves and the goal are, (3,) each."""

    hand: Floats
    thing: Floats
    goal: Floats


class ArmEnv(ModelEnv):
    """A seven-joint arm that has to bring a thing to a goal.

    A step's reward belongs to the state that its action was chosen in, as in the originals: it
    depends on the observation before the step and on the action. Nothing ends an episode.

    Attributes:
        bodies: names of the hand, the thing and the goal in the model.
    """

    bodies: ClassVar[tuple[str, str, str]]

    def __init__(self, frame_skip: int, **render_options: Any) -> None:
        """Build the model.

        Args:
            frame_skip: physics steps of 10 ms per action.
            render_options: what `MujocoEnv` takes, such as `render_mode`, `width` and `height`.
        """
        check_numbers(frame_skip=frame_skip)
        render_options.setdefault("default_camera_config", CAMERA)
        super().__init__(frame_skip, bounded_space(unbounded(23)), **render_options)

    @abstractmethod
    def start(self) -> tuple[Floats, Floats]:
        """Draw the positions and velocities in which an episode begins, and forget the last one."""

    @abstractmethod
    def judge(self, places: Places, action: Any) -> dict[str, np.float64]:
        """Return the terms of the reward, of which `step` takes the sum.

        Args:
            places: of hand, thing and goal before the step.
            action: (7,)
        """

    def step(self, action: Any) -> tuple[Floats, np.float64, bool, bool, dict[str, np.float64]]:
        """Judge the present state and the action, then move."""
        terms = self.judge(self._places, action)
        self.do_simulation(action, self.frame_skip)
        observation = self._get_obs()
        self._show()
        return observation, np.float64(sum(terms.values())), False, False, terms

    def reset_model(self) -> Floats:
        """Begin an episode."""
        qpos, qvel = self.start()
        self.set_state(qpos, qvel)  # type: ignore[no-untyped-call]
        return self._get_obs()

    def _get_obs(self) -> Floats:
        """Arm positions and velocities; places of hand, thing and goal, which are kept too."""
        self._places = Places(*(self.data.body(name).xpos.copy() for name in self.bodies))
        return np.concatenate([self.data.qpos[:7], self.data.qvel[:7], *self._places])
