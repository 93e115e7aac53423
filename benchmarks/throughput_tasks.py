"""The tasks whose throughput is measured, and the candidates that run in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers import mlp
from structured_layers.algorithms.directions import resolve_directions
from structured_layers.algorithms.perturbation import Perturbation
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.spaces import actions_of
from structured_layers.integrations.simulators import make_simulator

HIDDEN, CANDIDATES, PROCESSES, SEED = 32, 128, 2, 0
SHORTENED: int | None = None  # steps of the episodes of all rows, to try a script out
ENVS = "structured_layers.integrations.envs:structured_layers/"


@dataclass(frozen=True)
class Row:
    """A task whose evaluation is compared with its bare physics.

    Where random policies fall at once, they may lie there: what is measured is a step, and the end
    of episodes has a row of its own.

    Attributes:
        name: how it is called in tables.
        env: id.
        goal: share of the limit to reach.
        env_config: arguments of the environment.
        episode_length: fewer steps than the task's own limit, where physics is slow.
        stdev: σ of the candidates around their centre.
        gains: feedback gains of the centre, an action a row; without them it is zero.
    """

    name: str
    env: str
    goal: float
    env_config: Mapping[str, Any] = field(default_factory=dict)
    episode_length: int | None = None
    stdev: float = 0.1
    gains: tuple[tuple[float, ...], ...] = ()


LYING = {"terminate_when_unhealthy": False}
LIGHT = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0}
ROWS = (
    Row("HalfCheetah", "HalfCheetah-v5", 0.90),
    Row("Walker2d", "Walker2d-v5", 0.92, LYING, 500),
    Row("Hopper", "Hopper-v5", 0.92, LYING, 500),
    Row("Ant without contact forces", "Ant-v5", 0.92, {**LYING, **LIGHT}, 200),
    Row("Swimmer", "Swimmer-v5", 0.75),
    Row("Reacher", "Reacher-v5", 0.75),
    Row("InvertedPendulum", "InvertedPendulum-v5", 0.75, stdev=5e-4, gains=((1, 25, 2, 4),)),
    Row("Pusher", "Pusher-v5", 0.85),
    Row("Striker", f"{ENVS}Striker-v0", 0.85),
    Row("Thrower", f"{ENVS}Thrower-v0", 0.85),
    Row("Ant with contact forces", "Ant-v5", 0.85, LYING, 200),
    Row("Humanoid", "Humanoid-v5", 0.85, LYING, 100),
)


def make_network(env: str, env_config: Mapping[str, Any], simulator: str = "auto") -> nn.Module:
    """The policy of every measurement: one hidden layer of tanh."""
    with make_simulator(env, simulator=simulator, capacity=1, env_config=env_config) as made:
        outputs = actions_of(made.action_space).num_outputs
        return mlp(made.observation_size, [HIDDEN], outputs)


def make_problem(row: Row, num_actors: int = PROCESSES, **options: Any) -> PolicyProblem:
    """The evaluator as a search uses it."""
    return PolicyProblem(
        row.env,
        make_network(row.env, row.env_config),
        env_config=row.env_config,
        episode_length=SHORTENED or row.episode_length,
        seed=SEED,
        num_actors=num_actors,
        **options,
    )


def candidates_of(
    network: nn.Module, row: Row, count: int = CANDIDATES
) -> tuple[Perturbation, Tensor]:
    """The candidates of a generation, and what actors are sent instead of them."""
    center = feedback(network, row.gains)
    perturbation = Perturbation(
        center, row.stdev, SEED, resolve_directions("gaussian"), (count + 1) // 2, True
    )
    return perturbation, perturbation.rows(0, count)


def feedback(network: nn.Module, gains: tuple[tuple[float, ...], ...]) -> Tensor:
    """Weights of a policy whose actions are nearly the gains times the observation."""
    first, last = network[0], network[2]  # type: ignore[index]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for unit, row in enumerate(gains):
            first.weight[unit] = torch.tensor(row) / 100  # where tanh is straight
            last.weight[unit, unit] = 100
    return parameters_to_vector(network.parameters()).detach()
