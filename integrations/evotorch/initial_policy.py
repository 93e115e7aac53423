"""Where a run starts that begins at a trained policy: its weights clustered, or the largest kept.

Few weights are nearly as good as many once they are learned; learning which edges share one is
what takes long. So a dense network is trained first, and its clustering is the structure.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers import load_policy
from structured_layers.algorithms import LatentColoring, MagnitudePruning, SearchSpace
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.algorithms.search_spaces import Coloring, EdgeMask, EdgeSubset
from structured_layers.algorithms.weight_search import WeightSearch
from structured_layers.conversion import to_dense
from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ChromaticLinear, MaskedLinear, StructuredLinear
from structured_layers.layers.clustering import kmeans
from structured_layers.layers.nearest import group_means, nearest_index
from structured_layers.policy import Policy

from .best_center import BestCenter
from .normalizer import ObservationNormalizer
from .policy_problem import PolicyProblem
from .run_config import RunConfig

OBSERVATIONS_SEEN = 1_000_000
"""For how many observations the statistics of a policy count whose files do not say it."""


class InitialPolicy(NamedTuple):
    """A trained policy as a search takes it over."""

    name: str
    layers: list[nn.Linear]
    activations: list[str]
    normalizer: ObservationNormalizer | None


class Start(NamedTuple):
    """What a search starts with: parameters (d,), decisions (K,), the dense weights (T,)."""

    center: Tensor
    decisions: Tensor
    weights: Tensor


def read_initial_policy(
    path: str | Path, *, vecnormalize: str | Path | None = None
) -> InitialPolicy:
    """Read a policy of a run, of a policy folder, or of a zip of Stable-Baselines3.

    A run's folder holds how many observations its statistics are of. The others do not; theirs
    count for a million.

    Args:
        path: of the folder or the zip.
        vecnormalize: what ``VecNormalize.save`` wrote beside the zip.

    Raises:
        StructuredLayersError: nothing that can be read, or a policy that is no plain network.
    """
    path = Path(path)
    if path.is_file():
        from .initial_sb3 import read_sb3_policy

        policy = read_sb3_policy(path, None if vecnormalize is None else Path(vecnormalize))
        return _described(policy, str(path), _statistics(policy))
    if vecnormalize is not None:
        raise StructuredLayersError(
            f"a VecNormalize goes with a zip of Stable-Baselines3, and {path} is none; the folders "
            "of this library hold their statistics themselves"
        )
    policy = load_policy(path)
    return _described(policy, str(path), _run_statistics(path) or _statistics(policy))


def _run_statistics(path: Path) -> ObservationNormalizer | None:
    """Return the statistics that belong to the policy of a run's folder, None elsewhere."""
    if not (path / "checkpoint").is_dir():
        return None
    best = BestCenter()
    best.load_state_dict(read_checkpoint(path / "checkpoint")["best"])
    return best.normalizer


def _statistics(policy: Policy) -> ObservationNormalizer | None:
    """Return statistics of the policy's mean and standard deviation, as if much had been seen."""
    if policy.observation_mean is None or policy.observation_std is None:
        return None
    return statistics_of(policy.observation_mean, policy.observation_std)


def statistics_of(
    mean: NDArray[np.float64], std: NDArray[np.float64], count: int = OBSERVATIONS_SEEN
) -> ObservationNormalizer:
    """Return statistics of ``count`` observations of this mean and standard deviation (obs,)."""
    normalizer = ObservationNormalizer(len(mean))
    normalizer.count = count
    normalizer.sum, normalizer.sum_of_squares = mean * count, (std**2 + mean**2) * count
    return normalizer


def _described(
    policy: Policy, name: str, normalizer: ObservationNormalizer | None
) -> InitialPolicy:
    """Take a policy's network apart into its dense layers and what stands between them."""
    dense = to_dense(policy.network)
    if not isinstance(dense, nn.Sequential):
        raise _refused(name, f"is a {type(dense).__name__}, whose edges may skip layers")
    # Stable-Baselines3 cuts normalised observations off at ±10; this library does not.
    parts = [part for part in dense if not isinstance(part, nn.Hardtanh)]
    layers = [part for part in parts[0::2] if isinstance(part, nn.Linear)]
    between = [type(part).__name__ for part in parts[1::2]]
    if 2 * len(layers) - 1 != len(parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise _refused(name, f"is made of {kinds}")
    return InitialPolicy(name, layers, between, normalizer)


def _refused(name: str, reason: str) -> StructuredLayersError:
    return StructuredLayersError(
        f"a run starts at linear layers with activations between them, but the network of {name} "
        f"{reason}"
    )


@torch.no_grad()
def start_at(policy: InitialPolicy, network: nn.Module, space: SearchSpace) -> Start:
    """Return the weights and the structure of ``network`` that are nearest to a trained policy.

    The weights of all layers are clustered together, since they share one palette without scales;
    of an edge set the largest absolute weights stay, of an edge mask all.

    Args:
        policy: the trained one.
        network: of the search; it is left as it is.
        space: its structures, a colouring, an edge set or an edge mask.

    Raises:
        StructuredLayersError: sizes, activations or biases that differ.
    """
    network = copy.deepcopy(network)
    layers = _matching_layers(policy, network)
    weights = torch.cat([layer.weight.detach().flatten() for layer in policy.layers])
    if not bool(weights.isfinite().all()):
        raise StructuredLayersError(f"the weights of {policy.name} are not all finite")
    if isinstance(space, Coloring):
        decisions = _clustered(weights, layers, space)
    elif isinstance(space, EdgeSubset):
        _write_all(weights, layers)
        decisions = weights.abs().topk(space.num_decisions).indices.sort().values
    elif isinstance(space, EdgeMask):
        _write_all(weights, layers)
        decisions = torch.ones(space.num_edges, dtype=torch.int64)
    else:
        raise StructuredLayersError(
            f"a run starts at a trained policy with a colouring, an edge set or a mask, got "
            f"{type(space).__name__}"
        )
    for layer, trained in zip(layers, policy.layers, strict=True):
        _take_bias(layer, trained, policy.name)
    return Start(parameters_to_vector(network.parameters()).detach(), decisions, weights)


def _clustered(weights: Tensor, layers: list[StructuredLinear], space: Coloring) -> Tensor:
    """Write the palette of the best clustering into the network; return the colouring."""
    colors = nearest_index(weights, kmeans(weights, space.num_colors).to(weights))
    layers[0].values.copy_(group_means(weights, colors, space.num_colors))
    return colors


def _write_all(weights: Tensor, layers: list[StructuredLinear]) -> None:
    """Write the weights (T,) of all edges into the network, whichever of them stay."""
    start = 0
    for layer in layers:
        stop = start + layer.values.numel()
        layer.values.copy_(weights[start:stop].view_as(layer.values))
        start = stop


def _matching_layers(policy: InitialPolicy, network: nn.Module) -> list[StructuredLinear]:
    """Return the network's layers, which must be as those of the policy."""
    parts = list(network.modules())
    layers: list[StructuredLinear] = [
        part for part in parts if isinstance(part, (ChromaticLinear, MaskedLinear))
    ]
    needed, found = [_sizes(group) for group in (layers, policy.layers)]
    if needed != found:
        raise StructuredLayersError(
            f"the network of the run is {needed}, that of {policy.name} {found}; take the same "
            "hidden sizes, and a policy of an environment with the same observations and actions"
        )
    between = [
        type(p).__name__ for p in parts if type(p).__module__.startswith("torch.nn.modules.act")
    ]
    if between != policy.activations:
        raise StructuredLayersError(
            f"the network of the run has the activations {', '.join(between) or 'none'}, that of "
            f"{policy.name} {', '.join(policy.activations) or 'none'}"
        )
    return layers


def _sizes(layers: list[StructuredLinear] | list[nn.Linear]) -> str:
    return "-".join(str(n) for n in (layers[0].in_features, *(x.out_features for x in layers)))


def _take_bias(layer: StructuredLinear, trained: nn.Linear, name: str) -> None:
    if layer.bias is not None:
        layer.bias.copy_(torch.zeros_like(layer.bias) if trained.bias is None else trained.bias)
    elif trained.bias is not None and bool(trained.bias.any()):
        raise StructuredLayersError(
            f"the last layer of {name} has biases, that of the run has none; take --output-bias"
        )


def begin_at(policy: InitialPolicy, problem: PolicyProblem, search: WeightSearch) -> None:
    """Let a search that has not begun start at a trained policy and at its statistics.

    Raises:
        StructuredLayersError: they do not fit.
    """
    has_normalizer, needs_one = policy.normalizer is not None, problem.normalizer is not None
    if has_normalizer != needs_one:
        states = ("raw", "normalised")
        option = (
            "--observation-normalization" if has_normalizer else "--no-observation-normalization"
        )
        raise StructuredLayersError(
            f"{policy.name} decides by {states[has_normalizer]} observations, this run by "
            f"{states[needs_one]} ones; take {option}"
        )
    if problem.search_space is None:
        raise StructuredLayersError("only a search for a structure starts at a trained policy")
    start = start_at(policy, problem.network, problem.search_space)
    if isinstance(search, LatentColoring):
        search.start_at(torch.cat([start.center, start.weights]))
    elif isinstance(search, MagnitudePruning):
        search.start_at(start.center)
    else:
        search.start_at(start.center, start.decisions)
    if problem.normalizer is not None and policy.normalizer is not None:
        problem.normalizer.load_state_dict(policy.normalizer.state_dict())


def begin_as_configured(config: RunConfig, problem: PolicyProblem, search: WeightSearch) -> None:
    """Let a new search start at the policy that a run's settings name, if they name one.

    Raises:
        StructuredLayersError: the policy cannot be read, or does not fit.
    """
    if config.init_from is not None:
        policy = read_initial_policy(config.init_from, vecnormalize=config.init_vecnormalize)
        begin_at(policy, problem, search)
