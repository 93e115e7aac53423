"""Checking a user's `env_config` against the arguments of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar

import numpy as np

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.argument_values import (
    NUMBER,
    RULES,
    is_integer,
    is_number,
    shown,
)

TIME_LIMIT = "max_episode_steps"
"""An argument of `gymnasium.make` itself."""

CAMERA = (
    "width",
    "height",
    "default_camera_config",
    "camera_id",
    "camera_name",
    "max_geom",
    "visual_options",
)
"""Arguments of Gymnasium's MuJoCo environments that change nothing but pictures."""


def checked_config(env_config: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the arguments, or an error if they are not named."""
    config = {} if env_config is None else env_config
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise StructuredLayersError(
            "env_config must be a mapping of arguments by name, such as "
            f"{{'reset_noise_scale': 0.0}}, got {shown(config)}"
        )
    return dict(config)


def plain_config(env: object, env_config: Mapping[str, Any] | None) -> dict[str, Any]:
    """`checked_config` with NumPy's numbers as Python's, which JSON files can hold.

    Args:
        env: an id, or a callable, whose arguments stay as they are.
        env_config: what a user gave.
    """
    config = checked_config(env_config)
    if not isinstance(env, str):
        return config
    return {name: _plain(value) for name, value in config.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(part) for part in value])
    return value.item() if isinstance(value, np.generic) else value


def check_no_pictures(
    env_id: str, env_config: Mapping[str, Any], names: tuple[str, ...] = ()
) -> None:
    """Refuse `render_mode`, and other arguments that only draw pictures: no simulator does."""
    drawing = [name for name in ("render_mode", *names) if name in env_config]
    if drawing:
        raise StructuredLayersError(
            f"env_config must not contain {', '.join(drawing)}: a simulator of {env_id} draws "
            "nothing; make the environment with gymnasium.make to look at a policy"
        )


AnyTask = TypeVar("AnyTask")


def make_with(kind: type[AnyTask], env_id: str, env_config: Mapping[str, Any]) -> AnyTask:
    """Make a task, a dataclass whose fields are the environment's arguments.

    Args:
        kind: the dataclass.
        env_id: for messages.
        env_config: names and values as a user or a JSON file gives them; lists become tuples.
    """
    check_no_pictures(env_id, env_config, CAMERA)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in env_config if name not in known]
    if unknown:
        raise StructuredLayersError(unknown_arguments(env_id, unknown, [*known, TIME_LIMIT]))
    return kind(
        **{name: _checked(env_id, known[name], value) for name, value in env_config.items()}
    )


def unknown_arguments(env_id: str, unknown: list[str], known: list[str]) -> str:
    """Say which arguments an environment does not have, and which it has."""
    return (
        f"{env_id} has no argument {', '.join(map(repr, unknown))}; env_config may contain "
        f"{', '.join(sorted(known))}"
    )


def split_time_limit(
    env_id: str, env_config: Mapping[str, Any], time_limit: int
) -> tuple[dict[str, Any], int]:
    """Return the environment's own arguments, and the steps after which it is truncated."""
    rest = dict(env_config)
    value = rest.pop(TIME_LIMIT, time_limit)
    if not is_integer(value) or value < 1:
        raise StructuredLayersError(
            f"{TIME_LIMIT} of {env_id} must be an integer of at least 1, got {shown(value)}"
        )
    return rest, int(value)


def _checked(env_id: str, field: Field[Any], value: Any) -> Any:
    """Return the value if it has the type of the argument's default."""
    default = field.default
    wanted, is_right = _requirement(field.name, default, value)
    if not is_right:
        raise StructuredLayersError(
            f"{field.name} of {env_id} must be {wanted}, got {shown(value)}"
        )
    return tuple(value) if isinstance(default, tuple) else value


def _requirement(name: str, default: Any, value: Any) -> tuple[str, bool]:
    """What an argument must be, and whether the value is that."""
    if name == "main_body":
        is_index = is_integer(value) and 0 <= value < 2**31
        return "the number or the name of a body", is_index or isinstance(value, str)
    if isinstance(default, bool):
        return "true or false", isinstance(value, (bool, np.bool_))
    if isinstance(default, str):
        return "a string", isinstance(value, str)
    if isinstance(default, tuple):
        is_pair = isinstance(value, (tuple, list)) and len(value) == len(default)
        return "a pair of numbers", is_pair and all(map(is_number, value))
    wanted, is_right = RULES.get(name, NUMBER)
    return wanted, is_right(value)
