"""Gymnasium's MuJoCo environment, for models that are built instead of read from a file."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import MujocoEnv
from numpy.typing import NDArray

from .arm_model import PUSHER_XML
from .model_building import import_mujoco

Floats = NDArray[np.float64]
RENDER_MODES = ["human", "rgb_array", "depth_array", "rgbd_tuple"]


class ModelEnv(MujocoEnv):
    """A `MujocoEnv` whose subclasses build their own model."""

    metadata = {"render_modes": RENDER_MODES}

    def __init__(
        self,
        frame_skip: int,
        observation_space: spaces.Box,
        **render_options: Any,
    ) -> None:
        """Build the model and set up the simulation.

        Args:
            frame_skip: physics steps per action.
            observation_space: of `_get_obs`, which subclasses define.
            render_options: what else `MujocoEnv` takes, such as `render_mode` and `width`.
        """
        super().__init__(
            str(PUSHER_XML),  # a file has to exist, it is not read here
            frame_skip,
            observation_space=observation_space,
            **render_options,
        )
        self.metadata = {"render_modes": RENDER_MODES, "render_fps": round(1 / self.dt)}

    @abstractmethod
    def build_model(self) -> Any:
        """Return the task's `mujoco.MjModel`."""

    def _initialize_simulation(self) -> tuple[Any, Any]:
        model = self.build_model()
        buffer = model.vis.global_
        buffer.offwidth = max(buffer.offwidth, self.width)
        buffer.offheight = max(buffer.offheight, self.height)
        return model, import_mujoco().MjData(model)

    def _show(self) -> None:
        """Draw the window if there is one."""
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]


def bounded_space(bounds: Floats) -> spaces.Box:
    """A box of float64 between minus and plus the bounds."""
    return spaces.Box(-bounds, bounds, dtype=np.float64)


def unbounded(size: int) -> Floats:
    """The bound of numbers that have no other: MuJoCo resets a simulation that exceeds it."""
    return np.full(size, import_mujoco().mjMAXVAL)
