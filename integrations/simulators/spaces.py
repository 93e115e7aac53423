"""Which Gymnasium spaces a simulator serves, and observations as flat float64 rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from structured_layers.errors import StructuredLayersError


def check_action_space(space: Space[Any], name: str) -> Space[Any]:
    """The space itself if it is a 1-D floating `Box`, a `Discrete` or a 1-D `MultiDiscrete`."""
    is_vector = (
        isinstance(space, spaces.Box)
        and len(space.shape) == 1
        and np.issubdtype(space.dtype, np.floating)
    )
    is_choices = isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1
    if not is_vector and not is_choices and not isinstance(space, spaces.Discrete):
        raise StructuredLayersError(
            f"the action space of {name} must be a Box of floating numbers with one dimension, a "
            f"Discrete, or a MultiDiscrete with one dimension, got {space}; wrap the environment "
            "with a gymnasium.ActionWrapper"
        )
    return space


def flat_observation_size(space: Space[Any], name: str) -> int:
    """Numbers in one flattened observation, or an error for a space without a fixed number."""
    if _contains_image(space):
        raise StructuredLayersError(
            f"the observation space of {name} holds an image, got {space}; wrap the environment "
            "with a gymnasium.ObservationWrapper that returns features"
        )
    if not space.is_np_flattenable:
        raise StructuredLayersError(
            f"the observation space of {name} must be a Box, Discrete, MultiBinary, "
            f"MultiDiscrete, or a Tuple or Dict of these, got {space}; wrap the environment with "
            "a gymnasium.ObservationWrapper"
        )
    return int(spaces.flatdim(space))


def flatten_observation(space: Space[Any], observation: Any) -> NDArray[np.float64]:
    """One observation as a flat float64 row; a `Discrete` becomes one-hot."""
    if not isinstance(space, spaces.Box):
        observation = spaces.flatten(space, observation)
    return np.asarray(observation, dtype=np.float64).reshape(-1)


def _contains_image(space: Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_contains_image(part) for part in space.spaces.values())
    if isinstance(space, spaces.Tuple):
        return any(_contains_image(part) for part in space.spaces)
    return isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8
