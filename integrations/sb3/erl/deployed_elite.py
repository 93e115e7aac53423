"""An actor of a population as a policy that decides with NumPy only."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from structured_layers.conversion import to_dense
from structured_layers.layers import LatentLinear
from structured_layers.policy import Policy
from structured_layers.sequential_spec import SequentialSpec

from ..deployment import deployed_policy, flat_modules, hardened
from .learner_actor import clipped, normalizer_of


def deployed_elite(model: Any, network: nn.Module, weights: Tensor) -> Policy:
    """Return the policy of some actor of a population.

    Args:
        model: the learner, whose observations and actions the actor has.
        network: of the population, which is filled.
        weights: (d,), codes are decoded.
    """
    vector_to_parameters(weights.clone(), network.parameters())
    if any(isinstance(module, LatentLinear) for module in network.modules()):
        network = to_dense(network)
    modules = flat_modules(nn.Sequential(clipped(network, normalizer_of(model))))
    made = nn.Sequential(*(hardened(module) for module in modules)).requires_grad_(False).eval()
    like = deployed_policy(model)
    return Policy(
        made,
        like.actions,
        observation_mean=like.observation_mean,
        observation_std=like.observation_std,
        observation_shape=like.observation_shape,
        spec=SequentialSpec.of(made),
        env=like.env,
    )
