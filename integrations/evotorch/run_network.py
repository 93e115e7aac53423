"""The network that a run trains, and the structures of it that are searched."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from structured_layers.algorithms import SearchSpace
from structured_layers.algorithms.search_spaces.network_space import NumKept
from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ChromaticLinear, MaskedLinear
from structured_layers.layers.base import mean_fan_in
from structured_layers.metrics.inventory import take_inventory
from structured_layers.specs import NetworkSpec
from structured_layers.topology import vector_to_topology

from ..simulators import make_simulator
from .policy_problem import PolicyProblem
from .run_config import RunConfig
from .solutions import network_of
from .spaces import actions_of

DEFAULT_NUM_EDGES = 64
"""The edges that the papers keep."""


def network_spec(config: RunConfig) -> NetworkSpec:
    """Return the description of the network that fits a run's environment."""
    with make_simulator(config.env, capacity=1, env_config=config.env_config) as simulator:
        observations = simulator.observation_size
        outputs = actions_of(simulator.action_space).num_outputs
    num_colors = config.num_colors
    if config.structure == "chromatic" and num_colors is None:
        num_colors = max(observations, outputs)
    layer: str = "masked" if config.structure in ("edges", "edge-mask") else config.structure
    return NetworkSpec(
        observations,
        outputs,
        hidden=config.hidden,
        layer=layer if num_colors is None else "chromatic",
        num_colors=num_colors,
        activation="tanh" if config.unit_activations is None else "units",
        output_bias=config.output_bias,
        skip=config.skip,
    )


def seeded_network(
    spec: NetworkSpec, config: RunConfig, seed: int
) -> tuple[nn.Module, SearchSpace | None]:
    """Build the network as ``seed`` says, leaving PyTorch's global generator alone.

    Returns:
        The network, and the space of its structures, None if there is no search for them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = spec.build()
        if not config.is_searched:
            return network, None
        num_kept = _num_kept(config)
        _check_share(config.dense_share, spec.num_edges)
        if config.controller == "magnitude":  # which begins with all edges
            _check_fewer(num_kept, spec.num_edges)
            return network, SearchSpace.of(network, num_kept="any")
        space = _space(network, config)
        if num_kept is not None:
            first = space.sample(1, torch.Generator().manual_seed(seed))
            vector_to_topology(space.decode(first)[0], network)
            _draw_for_the_edges_left(network)
        return network, space


def _space(network: nn.Module, config: RunConfig) -> SearchSpace:
    """Return the space of a network's structures; errors name the setting, not its argument."""
    num_kept = _num_kept(config)
    try:
        return SearchSpace.of(network, num_kept=num_kept, activations=config.unit_activations)
    except StructuredLayersError as error:
        name = "num_edges" if config.edges_per_layer is None else "edges_per_layer"
        raise StructuredLayersError(str(error).replace("num_kept", name)) from error


def _check_share(share: float, num_edges: int) -> None:
    if share < 1 and round(share * num_edges) == num_edges:
        raise StructuredLayersError(
            f"dense_share {share} leaves all {num_edges} edges; take a smaller one, or none"
        )


def _check_fewer(num_kept: NumKept, num_edges: int) -> None:
    if isinstance(num_kept, int) and not 1 <= num_kept < num_edges:
        raise StructuredLayersError(
            f"num_edges must be at least 1 and less than all {num_edges} edges, of which the "
            f"controller magnitude removes the others, got {num_kept}"
        )


def _num_kept(config: RunConfig) -> NumKept:
    if config.structure == "edge-mask":
        return "any"
    if config.edges_per_layer is not None:
        return config.edges_per_layer
    return num_edges_left(config) if config.structure == "edges" else config.num_edges


def num_edges_left(config: RunConfig) -> int:
    """Return how many edges a network of structure edges has in the end."""
    return DEFAULT_NUM_EDGES if config.num_edges is None else config.num_edges


@torch.no_grad()
def _draw_for_the_edges_left(network: nn.Module) -> None:
    """Draw values anew for the few edges of the present masks; a palette becomes as much larger."""
    for layer in network.modules():
        if isinstance(layer, MaskedLinear):
            layer.reset_parameters()
    colored = [layer for layer in network.modules() if isinstance(layer, ChromaticLinear)]
    if colored:
        left = sum(mean_fan_in(layer.colors >= 0) for layer in colored)
        colored[0].values.mul_(math.sqrt(sum(layer.in_features for layer in colored) / left))


def num_weights(problem: PolicyProblem, solution: Tensor) -> int:
    """Return the distinct trained weights of a solution's network, which a mask may change."""
    return take_inventory(network_of(problem.network, problem.search_space, solution)).weights
