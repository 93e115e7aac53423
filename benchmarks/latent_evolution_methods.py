"""The searches of benchmarks/latent_evolution.py: an algorithm, the space it moves in, a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers import to_dense
from structured_layers.algorithms import ES, GA, LatentES, LatentGA
from structured_layers.algorithms.latent import NetworkAutoencoder, PolicyZoo
from structured_layers.integrations.evotorch import PolicyProblem

ENV = "Hopper-v5"
POPSIZE = 40
ES_OPTIONS: dict[str, Any] = {"popsize": POPSIZE, "optimizer": "adam", "ranking_method": "std"}
GA_OPTIONS: dict[str, Any] = {
    "popsize": POPSIZE, "num_parents": 10, "num_elite_candidates": 3, "num_elite_evaluations": 4,
}  # fmt: skip


class Method(NamedTuple):
    """One row of the comparison.

    Attributes:
        algorithm: of the search.
        space: what is perturbed, codes or weights.
        start: the mean network of the autoencoder, codes from N(0, I), or fresh weights.
        options: what was chosen for it.
    """

    algorithm: str
    space: str
    start: str
    options: dict[str, Any]


_WEIGHT_ES = {"stdev_init": 0.1, "center_learning_rate": 0.05}
_LATENT_ES = {"stdev_init": 0.1, "center_learning_rate": 0.05, "dense_scale": 1.0}
_WEIGHT_GA = {"stdev": 0.1}
_LATENT_GA = {"stdev": 0.1, "dense_scale": 1.0}
METHODS = {
    "latent-es": Method("ES", "latent", "mean", _LATENT_ES),
    "latent-es-normal": Method("ES", "latent", "normal", _LATENT_ES),
    "es": Method("ES", "weights", "fresh", _WEIGHT_ES),
    "es-decoded": Method("ES", "weights", "mean", _WEIGHT_ES),
    "latent-ga": Method("GA", "latent", "mean", _LATENT_GA),
    "latent-ga-normal": Method("GA", "latent", "normal", _LATENT_GA),
    "ga": Method("GA", "weights", "fresh", _WEIGHT_GA),
    "ga-decoded": Method("GA", "weights", "mean", _WEIGHT_GA),
}


def make_search(
    method: Method, seed: int, zoo: PolicyZoo, autoencoder: Path | None
) -> tuple[PolicyProblem, ES | GA]:
    """Return the problem and the search of a run.

    Every method sees observations by the zoo's statistics, which never change.

    Args:
        method: what is compared.
        seed: of the network, the episodes and the search.
        zoo: tells the statistics.
        autoencoder: a folder; None where the method needs none.
    """
    network = _network(method, seed, zoo, autoencoder)
    statistics = zoo.observation_mean.numpy(), zoo.observation_std.numpy()
    problem = PolicyProblem(ENV, network, observation_normalization=statistics, seed=seed)
    if method.space == "latent":
        start = "normal" if method.start == "normal" else "network"
        if method.algorithm == "ES":
            options = {**ES_OPTIONS, **method.options}
            return problem, LatentES(problem, center_init=start, seed=seed, **options)
        options = {**GA_OPTIONS, **method.options}
        return problem, LatentGA(problem, initial=start, seed=seed, **options)
    own = parameters_to_vector(network.parameters()).detach()
    if method.algorithm == "ES":
        return problem, ES(problem, center_init=own, seed=seed, **ES_OPTIONS, **method.options)
    initial = own if method.start == "mean" else _fresh_weights(seed, zoo)
    return problem, GA(problem, initial=initial, seed=seed, **GA_OPTIONS, **method.options)


def needs_autoencoder(method: Method) -> bool:
    """Return whether a method cannot do without one."""
    return method.space == "latent" or method.start == "mean"


def _network(method: Method, seed: int, zoo: PolicyZoo, autoencoder: Path | None) -> nn.Module:
    if not needs_autoencoder(method):
        return _fresh(zoo, torch.Generator().manual_seed(seed))
    if autoencoder is None:
        raise SystemExit("this method needs --autoencoder FOLDER; leave it out by --only")
    network = NetworkAutoencoder.load(autoencoder).mean_network()
    if method.space == "latent":
        return network
    dense: nn.Module = to_dense(network)
    return dense


def _fresh_weights(seed: int, zoo: PolicyZoo) -> Tensor:
    """Return a population (n, d) of freshly initialized networks."""
    generator = torch.Generator().manual_seed(seed)
    rows = [_fresh(zoo, generator) for _ in range(POPSIZE)]
    return torch.stack([parameters_to_vector(network.parameters()).detach() for network in rows])


def _fresh(zoo: PolicyZoo, generator: torch.Generator) -> nn.Module:
    """Return a network of the zoo's shape with PyTorch's own initialization."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**63 - 1, (), generator=generator)))
        return zoo.spec.build()
