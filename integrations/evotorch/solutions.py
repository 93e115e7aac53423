"""Solutions of a policy problem: trained values of a network and decisions about its structure."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from structured_layers.algorithms.search_spaces import SearchSpace
from structured_layers.topology import vector_to_topology


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
