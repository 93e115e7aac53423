"""The network, the problem and the search that a run's settings make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers.algorithms import (
    ES,
    ESENAS,
    Controller,
    FixedPopulation,
    LatentColoring,
    LocalSearch,
    MagnitudePruning,
    PolicyGradient,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
)
from structured_layers.algorithms.schedules import SCHEDULES
from structured_layers.specs import NetworkSpec

from .policy_problem import PolicyProblem
from .run_config import RunConfig
from .run_network import network_spec, num_edges_left, seeded_network
from .run_variants import DEFAULT_TOP, variant_options
from .workers import Workers

PRUNING_OF_TRAINED = (0.0, 0.75)
"""Shares of the steps between which the edges of a policy go that a run started at."""

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "regularized-evolution": RegularizedEvolution,
    "policy-gradient": PolicyGradient,
    "random": RandomSearch,
    "fixed": FixedPopulation,
    "local-search": LocalSearch,
}


Search: TypeAlias = ES | ESENAS | LatentColoring | MagnitudePruning


class Parts(NamedTuple):
    """What a run consists of."""

    spec: NetworkSpec
    problem: PolicyProblem
    search: Search


def build(config: RunConfig, **workers: Unpack[Workers]) -> Parts:
    """Make the network, the problem and the search of a run.

    Raises:
        StructuredLayersError: an unknown environment, or settings that do not fit it.
    """
    network_seed, search_seed, controller_seed = (
        int(s) for s in np.random.SeedSequence(config.seed).generate_state(3)
    )
    spec = network_spec(config)
    network, space = seeded_network(spec, config, network_seed)
    problem = PolicyProblem(
        config.env,
        network,
        env_config=config.env_config,
        search_space=space,
        observation_normalization=config.observation_normalization,
        alive_bonus=config.alive_bonus,
        num_episodes=config.num_episodes,
        seed=config.seed,
        **workers,
    )
    settings: dict[str, Any] = {
        "popsize": config.popsize,
        "center_init": _start(network, config),
        "num_center_evaluations": config.center_evaluations,
        "baseline": config.baseline,
        "seed": search_seed,
        **_search_options(config, problem),
    }
    return Parts(spec, problem, _search(config, problem, settings, controller_seed))


def _search(
    config: RunConfig, problem: PolicyProblem, settings: dict[str, Any], controller_seed: int
) -> Search:
    space = problem.search_space
    if space is None:
        return ES(problem, **settings)
    if config.controller == "magnitude":
        return _magnitude_pruning(config, problem, settings)
    if config.controller == "latent":
        not_taken = ("center_init", "baseline")
        taken = {name: value for name, value in settings.items() if name not in not_taken}
        return LatentColoring(problem, **taken)
    controller = _controller(config, space, controller_seed)
    variants = variant_options(config, problem.network, space)
    return ESENAS(problem, controller, **variants, **settings)


def _magnitude_pruning(
    config: RunConfig, problem: PolicyProblem, settings: dict[str, Any]
) -> MagnitudePruning:
    taken = {name: value for name, value in settings.items() if name != "baseline"}
    taken["progress"] = partial(_progress, problem, config.total_steps)
    if config.init_from is not None:  # nothing has to be learned first
        taken["between"] = PRUNING_OF_TRAINED
    return MagnitudePruning(problem, num_edges_left(config), **taken)


def _progress(problem: PolicyProblem, total_steps: int) -> float:
    return min(problem.env_steps / total_steps, 1.0)


def _start(network: nn.Module, config: RunConfig) -> Tensor:
    center = parameters_to_vector(network.parameters()).detach()
    return torch.zeros_like(center) if config.zero_init else center


def _search_options(config: RunConfig, problem: PolicyProblem) -> dict[str, Any]:
    if config.optimizer == "cmaes":
        return {"optimizer": "cmaes", "stdev_init": config.stdev}
    steps = (config.dense_steps, config.total_steps)
    rate = (config.learning_rate_schedule, config.learning_rate_final)
    stdev = (config.stdev_schedule, config.stdev_final)
    return {
        "stdev_init": config.stdev,
        "center_learning_rate": config.learning_rate,
        "optimizer": config.optimizer,
        "ranking_method": config.ranking_method,
        "estimator": config.estimator,
        "directions": config.directions,
        "num_top": config.num_top,
        "top_rule": config.top_rule,
        "slope": config.slope,
        "weight_decay": config.weight_decay,
        "learning_rate_schedule": _StepSchedule(problem, *steps, *rate),
        "stdev_schedule": _StepSchedule(problem, *steps, *stdev),
    }


@dataclass(frozen=True)
class _StepSchedule:
    """A schedule over the environment steps of a search, which the problem counts and saves."""

    problem: PolicyProblem
    first_step: int
    last_step: int
    name: str
    final: float

    def __call__(self, generation: int) -> float:
        taken, steps = self.problem.env_steps - self.first_step, self.last_step - self.first_step
        return SCHEDULES[self.name](min(max(taken, 0) / steps, 1.0), self.final)


def _controller(config: RunConfig, space: SearchSpace, seed: int) -> Controller:
    population_size = config.controller_population
    if config.init_topologies is not None:  # whose structures come once the run is created
        population_size = DEFAULT_TOP if config.top is None else config.top
    options = {
        "population_size": population_size,
        "num_mutations": config.num_mutations,
        "algorithm": config.controller_algorithm,
    }
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    return CONTROLLERS[config.controller or "regularized-evolution"](space, seed=seed, **given)
