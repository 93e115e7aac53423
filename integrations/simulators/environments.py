"""Making Gymnasium environments from an id or a callable, with errors a user can act on."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from structured_layers.errors import StructuredLayersError

from ..argument_values import is_integer
from .arguments import CAMERA, TIME_LIMIT, check_no_pictures, checked_config, unknown_arguments
from .tasks.models import without_remarks

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
    config = checked_config(env_config)
    if isinstance(env, str):
        env_id = env
        check_no_pictures(env_id, config)
        if is_integer(config.get(TIME_LIMIT)):  # gymnasium.make takes no NumPy integers
            config[TIME_LIMIT] = int(config[TIME_LIMIT])
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
        creator = _creator(env_id)
        if config and creator is not None:
            _check_names(env_id, creator, config)
        with _quiet_compilation():
            return gymnasium.make(env_id, disable_env_checker=True, **config)
    except gymnasium.error.UnregisteredEnv:
        raise _unknown_environment(env_id) from None
    except StructuredLayersError:
        raise
    except Exception as error:
        raise _not_made(env_id, error) from error


def _creator(env_id: str) -> Callable[..., Any] | None:
    """What makes the environment; None if gymnasium.make knows more, or says what is wrong."""
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    spec = gymnasium.registry.get(name)
    entry = None if spec is None else spec.entry_point
    return load_env_creator(entry) if isinstance(entry, str) else entry


@contextmanager
def _quiet_compilation() -> Iterator[None]:
    """Make environments inside the block without MuJoCo's remarks on their models."""
    if "mujoco" not in sys.modules:
        yield
        return
    with without_remarks(sys.modules["mujoco"]):
        yield


def _check_names(env_id: str, creator: Callable[..., Any], config: dict[str, Any]) -> None:
    """Refuse arguments that only draw pictures or that the constructor doesn't name."""
    if any(kind.__name__ == "MujocoEnv" for kind in getattr(creator, "__mro__", ())):
        check_no_pictures(env_id, config, CAMERA)
    parameters = inspect.signature(creator).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name != "render_mode"]
    unknown = [argument for argument in config if argument not in (*known, TIME_LIMIT)]
    if unknown:
        raise StructuredLayersError(unknown_arguments(env_id, unknown, [*known, TIME_LIMIT]))


def _make_by_call(make: Callable[..., AnyEnv], name: str, config: dict[str, Any]) -> AnyEnv:
    with suppress(ImportError):  # the callable may import it, and its remarks go to a file
        importlib.import_module("mujoco")
    try:
        with _quiet_compilation():
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
    # Ids are also known without what comes before a slash or a colon.
    names = {name.rpartition("/")[2]: name for name in gymnasium.registry}
    short = env_id.rpartition(":")[2].rpartition("/")[2]
    matches = [names[name] for name in difflib.get_close_matches(short, names, n=3)]
    suggestion = f"did you mean {' or '.join(matches)}? " if matches else ""
    return StructuredLayersError(
        f"no environment is called {env_id!r}; {suggestion}name one of another package as "
        "'module:Id-v0', or give a callable that makes the environment"
    )


def _not_made(name: str, error: Exception) -> StructuredLayersError:
    return StructuredLayersError(
        f"the environment {name} could not be made: {type(error).__name__}: {error}"
    )
