"""The return of a finished policy over fresh episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import Env
from numpy.typing import NDArray

from structured_layers.actions import Actions, DiscreteActions, MultiDiscreteActions
from structured_layers.errors import EvaluationError, StructuredLayersError
from structured_layers.policy import Policy

from ..simulators import Simulator, make_simulator
from .episodes import cut_length, episode_seed
from .rollouts import Normalization, rollout
from .spaces import actions_of


def evaluate_policy(
    policy: Policy,
    env: str | Callable[..., Env[Any, Any]] | None = None,
    *,
    env_config: Mapping[str, Any] | None = None,
    num_episodes: int = 20,
    episode_length: int | None = None,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the returns of ``num_episodes`` episodes, the alive bonus included.

    The seeds never coincide with those of a training run.

    Args:
        policy: what acts.
        env: where; None is the environment that the policy was trained in.
        env_config: arguments of the environment's constructor; None are those of the training if
            ``env`` is None too, and the environment's own otherwise.
        num_episodes: how many.
        episode_length: steps after which an episode is cut; None is 1000, or the environment's own
            limit if that is shorter or ``env_config`` sets it as ``max_episode_steps``.
        seed: of the episodes.

    Returns:
        (num_episodes,)

    Raises:
        StructuredLayersError: an environment that does not fit the policy.
        EvaluationError: an episode in which the environment failed.
    """
    if num_episodes < 1:
        raise StructuredLayersError(f"num_episodes must be at least 1, got {num_episodes}")
    if seed < 0:
        raise StructuredLayersError(f"seed must be at least 0, got {seed}")
    environment = policy.env if env is None else env
    if env_config is None and env is None:
        env_config = policy.env_config
    if environment is None:
        raise StructuredLayersError("this policy does not name its environment; pass env=")
    seeds = [[episode_seed(seed, (_EVALUATION, episode))] for episode in range(num_episodes)]
    mean, std = policy.observation_mean, policy.observation_std
    capacity = min(num_episodes, 64)
    with make_simulator(environment, capacity=capacity, env_config=env_config) as simulator:
        _check_fit(policy, simulator)
        result = rollout(
            policy.replicate(num_episodes),
            simulator,
            seeds,
            episode_length=cut_length(episode_length, simulator.time_limit, env_config),
            normalization=None if mean is None or std is None else Normalization(mean, std),
        )
    if result.failed.any():
        raise EvaluationError(f"the environment failed in an episode: {result.error}")
    return result.rewards + result.alive_bonus


def _check_fit(policy: Policy, simulator: Simulator) -> None:
    actions = actions_of(simulator.action_space)
    if simulator.observation_size != policy.observation_size:
        raise StructuredLayersError(
            f"the policy takes {policy.observation_size} observations, the environment gives "
            f"{simulator.observation_size}"
        )
    if (
        type(actions) is not type(policy.actions)
        or actions.num_outputs != policy.actions.num_outputs
    ):
        raise StructuredLayersError(
            f"the policy acts by {_describe(policy.actions)}, the environment takes "
            f"{_describe(actions)}"
        )


def _describe(actions: Actions) -> str:
    if isinstance(actions, MultiDiscreteActions):
        return f"choices among {' and '.join(map(str, actions.sizes))}"
    kind = "a choice among" if isinstance(actions, DiscreteActions) else "a vector of"
    return f"{kind} {actions.num_outputs}"


_EVALUATION = 1  # a spawn key of two numbers, where training has three
