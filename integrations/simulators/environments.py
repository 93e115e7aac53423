"""Making Gymnasium environments from an id or a callable, with errors a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import gymnasium

from structured_layers.errors import StructuredLayersError

AnyEnv = gymnasium.Env[Any, Any]


def environment_maker(env: str | Callable[[], AnyEnv]) -> tuple[str, Callable[[], AnyEnv]]:
    """A name for messages, and a function that makes one environment.

    Gymnasium's passive checker is left out: it changes no number, and it would warn about the
    values that a simulator reports as failures.
    """
    if isinstance(env, str):
        env_id = env
        return env_id, lambda: _make_registered(env_id)
    if not callable(env):
        raise StructuredLayersError(
            "env must be an id for gymnasium.make or a callable that returns a gymnasium.Env, "
            f"got {type(env).__name__}; wrap an environment in a function that makes it"
        )
    make, name = env, str(getattr(env, "__name__", repr(env)))
    return name, lambda: _make_by_call(make, name)


def _make_registered(env_id: str) -> AnyEnv:
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.UnregisteredEnv:
        raise _unknown_environment(env_id) from None
    except Exception as error:
        raise _not_made(env_id, error) from error


def _make_by_call(make: Callable[[], AnyEnv], name: str) -> AnyEnv:
    try:
        env = make()
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
