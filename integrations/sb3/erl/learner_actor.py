"""The deterministic actor of a learner, as a population of actors runs it."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.evotorch.rollouts import Normalization

from ..deployment import flat_modules, observation_statistics


class Normalizer(NamedTuple):
    """What a VecNormalize does to observations now: None for nothing.

    Attributes:
        statistics: means and standard deviations.
        clip: bound of what comes out.
    """

    statistics: Normalization | None
    clip: float | None


def check_learner(model: Any) -> None:
    """Refuse a model beside which no population of actors can learn.

    Raises:
        StructuredLayersError: naming what is missing and what to do.
    """
    name = type(model).__name__
    if not hasattr(model, "replay_buffer"):
        raise StructuredLayersError(
            f"ERL needs a learner with a replay buffer, which {name} has not; take TD3, SAC or DDPG"
        )
    if not isinstance(model.observation_space, spaces.Box):
        raise StructuredLayersError(
            f"ERL needs a learner with observations in a Box, got {model.observation_space}; "
            "dictionaries of observations and hindsight replay are not supported"
        )
    if not hasattr(model.policy, "actor") or not isinstance(model.action_space, spaces.Box):
        raise StructuredLayersError(
            f"ERL needs a learner with an actor of continuous actions, got {name} with actions in "
            f"{model.action_space}; take TD3, SAC or DDPG"
        )
    _check_buffer(model.replay_buffer)
    _check_forms(model)


def _check_buffer(buffer: Any) -> None:
    # Subclasses order transitions in ways of their own: hindsight, several steps at once.
    if buffer is not None and (type(buffer) is not ReplayBuffer or buffer.optimize_memory_usage):
        raise StructuredLayersError(
            f"ERL needs SB3's plain ReplayBuffer without optimize_memory_usage, got "
            f"{type(buffer).__name__}; leave replay_buffer_class and n_steps at their defaults"
        )


def _check_forms(model: Any) -> None:
    if len(model.observation_space.shape) != 1 or len(model.action_space.shape) != 1:
        raise StructuredLayersError(
            f"ERL needs observations and actions of one dimension, got "
            f"{model.observation_space.shape} and {model.action_space.shape}; flatten them by a "
            "wrapper of the environment"
        )
    extractor = model.policy.actor.features_extractor
    if type(extractor) is not FlattenExtractor:
        raise StructuredLayersError(
            f"ERL needs an actor of observations alone, this one has a {type(extractor).__name__} "
            "before it; leave features_extractor_class at its default"
        )


def actor_network(model: Any) -> nn.Sequential:
    """Return a copy of a learner's actor whose outputs lie in [-1, 1].

    Of TD3 and DDPG it is ``actor.mu``, its modules of the same names; of SAC the means, squashed.

    Args:
        model: that :func:`check_learner` accepts.
    """
    actor = model.policy.actor
    modules = [actor.mu]
    if hasattr(actor, "latent_pi"):
        modules = [actor.latent_pi, actor.mu, nn.Tanh()]
    network = nn.Sequential(*flat_modules(copy.deepcopy(nn.Sequential(*modules))))
    return network.cpu().requires_grad_(False).eval()


def normalizer_of(model: Any) -> Normalizer:
    """Return what a learner's VecNormalize does now."""
    mean, std, clip = observation_statistics(model)
    if mean is None or std is None:
        return Normalizer(None, None)
    return Normalizer(Normalization(mean.copy(), std), clip)


def clipped(network: nn.Module, normalizer: Normalizer) -> nn.Module:
    """Return a network that clips its inputs as a VecNormalize does."""
    if normalizer.clip is None:
        return network
    return nn.Sequential(nn.Hardtanh(-normalizer.clip, normalizer.clip), network)
