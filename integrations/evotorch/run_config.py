"""The settings of a run, and the problem and search they make."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import nn
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
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.layers import MaskedLinear
from structured_layers.specs import NetworkSpec
from structured_layers.topology import vector_to_topology

from ..simulators import make_simulator
from .policy_problem import PolicyProblem
from .spaces import actions_of

Structure = Literal["dense", "toeplitz", "circulant", "chromatic", "edges"]
ControllerName = Literal["regularized-evolution", "random", "fixed"]

CONTROLLERS: dict[str, type[RegularizedEvolution | RandomSearch | FixedPopulation]] = {
    "regularized-evolution": RegularizedEvolution,
    "random": RandomSearch,
    "fixed": FixedPopulation,
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes.

    Attributes:
        env: Gymnasium id.
        structure: how weights are shared or dropped.
        hidden: sizes of the hidden layers; none is a linear policy.
        num_colors: size of the palette (chromatic only); None is max(observations, actions).
        num_edges: edges that stay (edges only); None is 64.
        controller: who proposes structures (chromatic and edges only); None is regularised
            evolution.
        controller_population: queue of regularised evolution, or size of the fixed population;
            None is the controller's own default.
        output_bias: whether the last layer has biases.
        total_steps: environment steps after which the run ends, centre evaluations included.
        seed: of everything.
        popsize: perturbed candidates per generation.
        center_evaluations: evaluations of the centre per generation, on top.
        stdev: σ of the perturbations.
        learning_rate: of the optimizer.
        optimizer: EvoTorch's adam, sgd or clipup.
        ranking_method: how fitnesses weigh the perturbations.
        observation_normalization: whether observations are centred and scaled.
        num_episodes: per candidate.
    """

    env: str
    structure: Structure = "chromatic"
    hidden: tuple[int, ...] = (32,)
    num_colors: int | None = None
    num_edges: int | None = None
    controller: ControllerName | None = None
    controller_population: int | None = None
    output_bias: bool = False
    total_steps: int = 4_000_000
    seed: int = 0
    popsize: int = 100
    center_evaluations: int = 10
    stdev: float = 0.1
    learning_rate: float = 0.05
    optimizer: Literal["adam", "sgd", "clipup"] = "adam"
    ranking_method: Literal["raw", "centered", "std"] = "std"
    observation_normalization: bool = True
    num_episodes: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that this structure would ignore."""
        for name, value, known in (
            ("structure", self.structure, get_args(Structure)),
            ("controller", self.controller, (None, *get_args(ControllerName))),
        ):
            if value not in known:
                raise StructuredLayersError(
                    f"{name} must be one of {', '.join(filter(None, known))}, got {value!r}"
                )
        searched = self.structure in ("chromatic", "edges")
        for name, allowed, where in (
            ("num_colors", self.structure == "chromatic", "chromatic"),
            ("num_edges", self.structure == "edges", "edges"),
            ("controller", searched, "chromatic or edges"),
            ("controller_population", searched, "chromatic or edges"),
        ):
            if getattr(self, name) is not None and not allowed:
                raise StructuredLayersError(
                    f"{name} goes with structure {where}, got structure {self.structure}"
                )
        if self.controller == "random" and self.controller_population is not None:
            raise StructuredLayersError("the random controller has no population")
        if any(size < 1 for size in self.hidden):
            raise StructuredLayersError(
                f"hidden sizes must be at least 1, and none makes a linear policy, got "
                f"{list(self.hidden)}"
            )
        if self.total_steps < 1:
            raise StructuredLayersError(f"total_steps must be at least 1, got {self.total_steps}")
        if self.center_evaluations < 1:
            raise StructuredLayersError(
                f"center_evaluations must be at least 1, since a run reports its centre, got "
                f"{self.center_evaluations}"
            )
        if self.seed < 0:
            raise StructuredLayersError(f"seed must be at least 0, got {self.seed}")

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain JSON values."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunConfig:
        """Return the settings that :meth:`to_json` described.

        Raises:
            CheckpointError: unknown or missing settings.
        """
        known = {field.name for field in fields(cls)}
        if data.keys() != known:
            raise CheckpointError(
                f"a run's settings are {sorted(known)}, this file differs in "
                f"{sorted(known ^ data.keys())}"
            )
        _check_types(data)
        return cls(**{**data, "hidden": tuple(data["hidden"])})


_INTEGERS = ("total_steps", "seed", "popsize", "center_evaluations", "num_episodes")
_OPTIONAL_INTEGERS = ("num_colors", "num_edges", "controller_population")
_FLAGS = ("output_bias", "observation_normalization")
_NUMBERS = ("stdev", "learning_rate")


def _check_types(data: dict[str, Any]) -> None:
    """Refuse settings of a type that would only fail later, or silently mean something else."""
    is_integer: dict[str, bool] = {name: type(data[name]) is int for name in _INTEGERS}
    is_optional = {name: type(data[name]) in (int, NoneType) for name in _OPTIONAL_INTEGERS}
    is_flag = {name: type(data[name]) is bool for name in _FLAGS}
    is_number = {name: type(data[name]) in (int, float) for name in _NUMBERS}
    hidden = data["hidden"]
    is_sizes = {"hidden": isinstance(hidden, list) and all(type(size) is int for size in hidden)}
    is_right = is_integer | is_optional | is_flag | is_number | is_sizes
    wrong = [f"{name}={data[name]!r}" for name, right in is_right.items() if not right]
    if wrong:
        raise CheckpointError(f"these settings have the wrong type: {', '.join(wrong)}")


class Parts(NamedTuple):
    """What a run consists of."""

    spec: NetworkSpec
    problem: PolicyProblem
    search: ES | ESENAS


def build(config: RunConfig, *, num_actors: int = 0) -> Parts:
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
        search_space=space,
        observation_normalization=config.observation_normalization,
        num_episodes=config.num_episodes,
        seed=config.seed,
        num_actors=num_actors,
    )
    settings: dict[str, Any] = {
        "popsize": config.popsize,
        "center_init": parameters_to_vector(network.parameters()).detach(),
        "stdev_init": config.stdev,
        "center_learning_rate": config.learning_rate,
        "optimizer": config.optimizer,
        "ranking_method": config.ranking_method,
        "num_center_evaluations": config.center_evaluations,
        "seed": search_seed,
    }
    if space is None:
        return Parts(spec, problem, ES(problem, **settings))
    controller = _controller(config, space, controller_seed)
    return Parts(spec, problem, ESENAS(problem, controller, **settings))


def _network_spec(config: RunConfig) -> NetworkSpec:
    with make_simulator(config.env, capacity=1) as simulator:
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
