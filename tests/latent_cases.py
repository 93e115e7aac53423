"""Searches of the codes of small Hopper policies, for tests."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from structured_layers import LatentLinear, WeightDecoder
from structured_layers.algorithms import GA, LatentES, LatentGA
from structured_layers.integrations.evotorch import PolicyProblem

MEAN, STD = np.linspace(-1, 1, 11), np.linspace(0.5, 2, 11)
SEARCHES = {
    "ga": (LatentGA, {"popsize": 6, "num_parents": 2, "num_elite_evaluations": 2}),
    "es": (LatentES, {"popsize": 6, "num_center_evaluations": 1}),
}


def make_network(*, both: bool = True, seed: int = 1) -> nn.Sequential:
    """A policy of Hopper whose layers, or whose first layer, are decoded from 4 and 3 numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = LatentLinear(11, 8, decoder=WeightDecoder(8, 11, 4, hidden=(5,)))
        last = LatentLinear(8, 3, decoder=WeightDecoder(3, 8, 3, hidden=())) if both else None
        return nn.Sequential(first, nn.Tanh(), last or nn.Linear(8, 3))


def make_problem(network: nn.Module | None = None, **options: Any) -> PolicyProblem:
    given = {"episode_length": 12, "seed": 0, "observation_normalization": (MEAN, STD), **options}
    return PolicyProblem("Hopper-v5", network or make_network(), **given)


def make_search(kind: str, problem: PolicyProblem | None = None, **options: Any) -> Any:
    search, settings = SEARCHES[kind]
    return search(problem or make_problem(), **{"seed": 0, **settings, **options})


def best_of(search: Any) -> Tensor:
    found = search.elite_solution() if isinstance(search, GA) else search.center_solution()
    return torch.as_tensor(found)
