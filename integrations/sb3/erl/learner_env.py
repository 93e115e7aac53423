"""Which environment a population runs in, so that it is the learner's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
from gymnasium import Env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
)

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators.arguments import CAMERA, TIME_LIMIT, plain_config

from ..observations import environment_of

_KNOWN = (DummyVecEnv, SubprocVecEnv, VecCheckNan, VecMonitor, VecNormalize)
_DRAWING = ("render_mode", *CAMERA)
_ADVICE = "name the population's environment by env=, an id or a callable that makes one"


class Environment(NamedTuple):
    """What :func:`~structured_layers.integrations.simulators.make_simulator` takes.

    Attributes:
        env: an id of Gymnasium, or a callable.
        env_config: arguments of its constructor.
    """

    env: str | Callable[..., Env[Any, Any]]
    env_config: dict[str, Any]


def environment_like(model: Any) -> Environment:
    """Return the environment of a learner by its id and arguments.

    Raises:
        StructuredLayersError: the learner has none, or one that its id does not describe because
            wrappers change what the learner sees or does.
    """
    _check_vectorized(environment_of(model))
    try:
        spec = environment_of(model).get_attr("spec")[0]
    except (AttributeError, NotImplementedError):
        spec = None
    if spec is None:
        raise StructuredLayersError(f"the learner's environment has no id; {_ADVICE}")
    wrappers = [wrapper.name for wrapper in spec.additional_wrappers if wrapper.name != "Monitor"]
    if wrappers:
        raise StructuredLayersError(
            f"the learner acts in {spec.id} through {', '.join(wrappers)}, which {spec.id} alone "
            f"has not; {_ADVICE}, with the wrappers"
        )
    config = {name: value for name, value in spec.kwargs.items() if name not in _DRAWING}
    if spec.max_episode_steps != gymnasium.spec(spec.id).max_episode_steps:
        config[TIME_LIMIT] = spec.max_episode_steps
    return Environment(spec.id, plain_config(spec.id, config))


def _check_vectorized(env: VecEnv) -> None:
    """Refuse wrappers of the vectorised environment that change observations or rewards."""
    while True:
        if type(env) not in _KNOWN:
            raise StructuredLayersError(
                f"the learner acts through a {type(env).__name__}, of which the population knows "
                f"nothing; {_ADVICE} that does the same"
            )
        if not isinstance(env, VecEnvWrapper):
            return
        env = env.venv
