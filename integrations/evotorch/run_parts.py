"""The network, the problem and the search that a run's settings make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers.algorithms import (
    ES,
    ESENAS,
    Controller,
    FixedPopulation,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
)
from structured_layers.algorithms.schedules import SCHEDULES
from structured_layers.layers import MaskedLinear
from structured_layers.specs import NetworkSpec
from structured_layers.topology import vector_to_topology

from ..simulators import make_simulator
from .policy_problem import PolicyProblem
from .run_config import RunConfig
from .spaces import actions_of
from .workers import Workers

CONTROLLERS: dict[str, type[RegularizedEvolution | RandomSearch | FixedPopulation]] = {
    "regularized-evolution": RegularizedEvolution,
    "random": RandomSearch,
    "fixed": FixedPopulation,
}


class Parts(NamedTuple):
    """What a run consists of."""

    spec: NetworkSpec
    problem: PolicyProblem
    search: ES | ESENAS


def build(config: RunConfig, **workers: Unpack[Workers]) -> Parts:
    """Make the network, the problem and the search of a run.

    Raises:
        StructuredLayersError: an unknown environment, or settings that do not fit it.
    """
    network_seed, search_seed, controller_seed = (
        int(s) for s in np.random.SeedSequence(config.seed).generate_state(3)
    )
    spec = _network_spec(config)
    network, space = _seeded_network(spec, config, network_seed)
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
    if space is None:
        return Parts(spec, problem, ES(problem, **settings))
    controller = _controller(config, space, controller_seed)
    return Parts(spec, problem, ESENAS(problem, controller, **settings))


def _start(network: nn.Module, config: RunConfig) -> Tensor:
    center = parameters_to_vector(network.parameters()).detach()
    return torch.zeros_like(center) if config.zero_init else center


def _search_options(config: RunConfig, problem: PolicyProblem) -> dict[str, Any]:
    if config.optimizer == "cmaes":
        return {"optimizer": "cmaes", "stdev_init": config.stdev}
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
        "learning_rate_schedule": _StepSchedule(problem, config.total_steps, *rate),
        "stdev_schedule": _StepSchedule(problem, config.total_steps, *stdev),
    }


@dataclass(frozen=True)
class _StepSchedule:
    """A schedule over the environment steps of a run, which the problem counts and saves."""

    problem: PolicyProblem
    total_steps: int
    name: str
    final: float

    def __call__(self, generation: int) -> float:
        progress = min(self.problem.env_steps / self.total_steps, 1.0)
        return SCHEDULES[self.name](progress, self.final)


def _network_spec(config: RunConfig) -> NetworkSpec:
    with make_simulator(config.env, capacity=1, env_config=config.env_config) as simulator:
        observations = simulator.observation_size
        outputs = actions_of(simulator.action_space).num_outputs
    num_colors = None
    if config.structure == "chromatic":
        num_colors = config.num_colors
        if num_colors is None:
            num_colors = max(observations, outputs)
    return NetworkSpec(
        observations,
        outputs,
        hidden=config.hidden,
        layer="masked" if config.structure == "edges" else config.structure,
        num_colors=num_colors,
        output_bias=config.output_bias,
    )


def _seeded_network(
    spec: NetworkSpec, config: RunConfig, seed: int
) -> tuple[nn.Module, SearchSpace | None]:
    """Build the network as ``seed`` says, leaving PyTorch's global generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = spec.build()
        if spec.layer not in ("chromatic", "masked"):
            return network, None
        if spec.layer == "chromatic":
            return network, SearchSpace.of(network)
        space = SearchSpace.of(
            network, num_kept=64 if config.num_edges is None else config.num_edges
        )
        first = space.sample(1, torch.Generator().manual_seed(seed))
        vector_to_topology(space.decode(first)[0], network)
        for layer in network.modules():  # drawn anew for the few edges that are left
            if isinstance(layer, MaskedLinear):
                layer.reset_parameters()
        return network, space


def _controller(config: RunConfig, space: SearchSpace, seed: int) -> Controller:
    kind = CONTROLLERS[config.controller or "regularized-evolution"]
    if config.controller_population is None:
        return kind(space, seed=seed)
    return kind(space, population_size=config.controller_population, seed=seed)  # type: ignore[call-arg]
