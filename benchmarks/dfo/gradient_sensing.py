"""Gradient sensing with each estimator and each kind of direction, by one rule for the steps.

z ← z − η_t √n g/‖g‖, with g sensed at stdev ρ η_t from N = n directions, one whole block, and η_t
falling geometrically over the budget. Only the direction of g counts, so no scale of the function
enters; every combination has the same three numbers, those of a :class:`StepRule`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from structured_layers.algorithms.directions import DIRECTIONS, Directions
from structured_layers.algorithms.gradient_estimators import (
    antithetic,
    forward_difference,
    vanilla,
)

from .chosen_steps import StepRule
from .objective import Objective

KINDS = ("gaussian", "orthogonal", "hadamard")


Sense = Callable[[Objective, Tensor, Tensor, float], Tensor]
"""Objective, points (runs, n), directions (runs, N, n) and σ to gradients (runs, n)."""


def sense_vanilla(objective: Objective, z: Tensor, directions: Tensor, stdev: float) -> Tensor:
    """Evaluate at z + σε: N evaluations."""
    values = objective(z[:, None] + stdev * directions)
    return torch.stack([vanilla(v, e, stdev) for v, e in zip(values, directions, strict=True)])


def sense_antithetic(objective: Objective, z: Tensor, directions: Tensor, stdev: float) -> Tensor:
    """Evaluate at z ± σε: 2N evaluations."""
    pairs = torch.cat([directions, -directions], 1)
    plus, minus = objective(z[:, None] + stdev * pairs).chunk(2, dim=1)
    rows = zip(plus, minus, directions, strict=True)
    return torch.stack([antithetic(p, m, e, stdev) for p, m, e in rows])


def sense_forward(objective: Objective, z: Tensor, directions: Tensor, stdev: float) -> Tensor:
    """Evaluate at z and z + σε: N + 1 evaluations."""
    points = torch.cat([z[:, None], z[:, None] + stdev * directions], 1)
    values = objective(points)
    rows = zip(values, directions, strict=True)
    return torch.stack([forward_difference(v[1:], v[0], e, stdev) for v, e in rows])


ESTIMATORS: dict[str, Sense] = {
    "vanilla": sense_vanilla,
    "antithetic": sense_antithetic,
    "forward": sense_forward,
}


def descend(
    objective: Objective,
    sense: Sense,
    kind: Directions,
    generators: Sequence[torch.Generator],
    budget: int,
    rule: StepRule,
) -> None:
    """Walk down from the start until the budget is used, all runs in step.

    Args:
        objective: remembers what was found.
        sense: one of ``ESTIMATORS``.
        kind: of directions.
        generators: of the directions, one for each run.
        budget: evaluations of each run; the last generation may pass it.
        rule: of the steps.
    """
    n = objective.problem.dimension
    z = torch.zeros(len(generators), n, dtype=torch.float64)
    while objective.num_evaluations < budget:
        step = rule.step_size(objective.num_evaluations / budget)
        directions = torch.stack([kind(n, n, g, torch.float64) for g in generators])
        gradient = sense(objective, z, directions, rule.stdev_ratio * step)
        length = gradient.norm(dim=1, keepdim=True)
        length = torch.where(length > 0, length, 1.0)  # a flat spot: stay
        z = z - step * n**0.5 * gradient / length


def sensing_methods() -> dict[str, tuple[Sense, Directions]]:
    """Return the nine combinations by name."""
    return {
        f"{estimator}-{kind}": (sense, DIRECTIONS[kind])
        for estimator, sense in ESTIMATORS.items()
        for kind in KINDS
    }
