"""Reading a saved learner into an environment that may be another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
from stable_baselines3.common.vec_env import VecEnv

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.argument_values import shown


def opened(env: Any) -> Any:
    """Return an environment, made if it is named by its id."""
    if isinstance(env, str):
        try:
            return gymnasium.make(env)
        except gymnasium.error.Error as error:
            raise StructuredLayersError(f"env={env!r} cannot be made: {error}") from error
    if not isinstance(env, (gymnasium.Env, VecEnv)):
        raise StructuredLayersError(
            "env must be the environment of the learners: an id of Gymnasium, an environment or a "
            f"VecEnv, got {shown(env)}"
        )
    return env


def load_learner(kind: Any, file: Path, env: Any, device: str) -> Any:
    """Read a learner of Stable-Baselines3.

    Args:
        kind: its class.
        file: its zip file.
        env: what :func:`opened` returned.
        device: of its networks.

    Raises:
        StructuredLayersError: the environment is not one that the learner can act in.
    """
    try:
        return kind.load(file, env=env, device=device)
    except ValueError:
        saved = kind.load(file, device=device)  # an error here is of the file
        for name in ("observation_space", "action_space"):
            needed, found = getattr(saved, name), getattr(env, name)
            if needed != found:
                raise StructuredLayersError(
                    f"env has another {name} than the learner of {file}: {found} where {needed} "
                    "is needed; pass an environment like that of the training"
                ) from None
        raise
