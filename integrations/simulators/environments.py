"""Making Gymnasium environments from an id or a callable, with errors a user can act on."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from structured_layers.errors import StructuredLayersError

from .arguments import TIME_LIMIT, check_no_pictures, unknown_arguments

AnyEnv = gymnasium.Env[Any, Any]


def environment_maker(
    env: str | Callable[..., AnyEnv], env_config: Mapping[str, Any] | None = None
) -> tuple[str, Callable[[], AnyEnv]]:
    """A name for messages, and a function that makes one environment.

    Gymnasium's passive checker is left out: it changes no number, and it would warn about the
    values that a simulator reports as failures.

    Args:
        env: an id, or a callable that returns a new environment.
        env_config: arguments of the environment's constructor, or of the callable.
    """
    config = dict(env_config or {})
    if isinstance(env, str):
        env_id = env
        check_no_pictures(env_id, config)
        return env_id, lambda: _make_registered(env_id, config)
    if not callable(env):
        raise StructuredLayersError(
            "env must be an id for gymnasium.make or a callable that returns a gymnasium.Env, "
            f"got {type(env).__name__}; wrap an environment in a function that makes it"
        )
    make, name = env, str(getattr(env, "__name__", repr(env)))
    return name, lambda: _make_by_call(make, name, config)


def _make_registered(env_id: str, config: dict[str, Any]) -> AnyEnv:
    try:
        if config:
            _check_names(env_id, config)
        return gymnasium.make(env_id, disable_env_checker=True, **config)
    except gymnasium.error.UnregisteredEnv:
        raise _unknown_environment(env_id) from None
    except StructuredLayersError:
        raise
    except Exception as error:
        raise _not_made(env_id, error) from error


def _check_names(env_id: str, config: dict[str, Any]) -> None:
    """Refuse arguments that the constructor doesn't name, unless it takes any."""
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    spec = gymnasium.registry.get(name)
    if spec is None or spec.entry_point is None:
        return  # gymnasium.make knows more, or says what is wrong
    entry = spec.entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    parameters = inspect.signature(creator).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name != "render_mode"]
    unknown = [argument for argument in config if argument not in (*known, TIME_LIMIT)]
    if unknown:
        raise StructuredLayersError(unknown_arguments(env_id, unknown, [*known, TIME_LIMIT]))


def _make_by_call(make: Callable[..., AnyEnv], name: str, config: dict[str, Any]) -> AnyEnv:
    try:
        env = make(**config)
    except Exception as error:
        raise _not_made(name, error) from error
    if not isinstance(env, gymnasium.Env):
        raise StructuredLayersError(
            f"{name} must return a gymnasium.Env, got {type(env).__module__}."
            f"{type(env).__qualname__}"
        )
    return env


def _unknown_environment(env_id: str) -> StructuredLayersError:
    matches = difflib.get_close_matches(env_id, list(gymnasium.registry), n=3)
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    return StructuredLayersError(
        f"no environment is called {env_id!r}; {suggestion}name one of another package as "
        "'module:Id-v0', or give a callable that makes the environment"
    )


def _not_made(name: str, error: Exception) -> StructuredLayersError:
    return StructuredLayersError(
        f"the environment {name} could not be made: {type(error).__name__}: {error}"
    )
