"""Solutions of a policy problem: trained values of a network and decisions about its structure."""

from __future__ import annotations

import copy
from typing import Any

import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from structured_layers.algorithms.search_spaces import SearchSpace
from structured_layers.errors import StructuredLayersError
from structured_layers.population import PopulationPolicy
from structured_layers.topology import vector_to_topology

from .spaces import actions_of


def check_network(network: nn.Module, observation_size: int, action_space: Space[Any]) -> None:
    """Raise StructuredLayersError unless a network serves an environment's spaces."""
    num_parameters = sum(p.numel() for p in network.parameters())
    population = PopulationPolicy(network, torch.zeros(1, num_parameters))
    outputs = actions_of(action_space).num_outputs
    if (population.in_features, population.out_features) != (observation_size, outputs):
        raise StructuredLayersError(
            f"the environment needs a network from {observation_size} observations to "
            f"{outputs} outputs, got one from {population.in_features} to "
            f"{population.out_features}"
        )


def draw_solutions(
    network: nn.Module, space: SearchSpace | None, n: int, generator: torch.Generator | None
) -> Tensor:
    """Draw n solutions of the network's own scale, structures uniformly.

    Returns:
        (n, d + K)
    """
    scales = torch.cat(
        [p.detach().std(correction=0).expand(p.numel()) for p in network.parameters()]
    )
    weights = torch.randn(n, len(scales), generator=generator) * scales
    if space is None:
        return weights
    decisions = space.sample(n, generator or torch.default_generator)
    return torch.cat([weights, decisions.to(weights.dtype)], dim=1)


def network_of(network: nn.Module, space: SearchSpace | None, solution: Tensor) -> nn.Module:
    """Return a copy of the network with the weights and the structure of a solution.

    Args:
        network: left as it is.
        space: what the decisions mean; None if the solution has none.
        solution: (d + K,)
    """
    network = copy.deepcopy(network)
    num_parameters = sum(p.numel() for p in network.parameters())
    weights, decisions = solution[:num_parameters], solution[num_parameters:]
    vector_to_parameters(weights.to(torch.float32), network.parameters())
    if space is not None:
        vector_to_topology(space.decode(decisions[None].to(torch.int64))[0], network)
    return network
