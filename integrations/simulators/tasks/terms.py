"""The terms that several tasks share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Floats, Outcome, State, Step

Pair = tuple[float, float]


def uniform_start(
    generator: np.random.Generator, model: Any, noise: float
) -> tuple[Floats, Floats]:
    """Uniform noise on the model's own positions, then on velocities of zero."""
    qpos = model.qpos0 + generator.uniform(low=-noise, high=noise, size=model.nq)
    qvel = generator.uniform(low=-noise, high=noise, size=model.nv)
    return qpos, qvel


def normal_start(generator: np.random.Generator, model: Any, noise: float) -> tuple[Floats, Floats]:
    """Uniform noise on the model's own positions, normal noise on velocities of zero."""
    qpos = model.qpos0 + generator.uniform(low=-noise, high=noise, size=model.nq)
    qvel = noise * generator.standard_normal(model.nv)
    return qpos, qvel


def positions_and(state: State, *parts: Floats, skipped: int) -> Floats:
    """Join the positions from the one numbered `skipped` on with other columns."""
    return np.concatenate((state["qpos"][:, skipped:], *parts), axis=1)


def forward_velocity(step: Step) -> Floats:
    """Return the mean velocity along x during the step, (n,); x is the first of the memory."""
    velocity: Floats = (step.state["qpos"][:, 0] - step.memory[:, 0]) / step.seconds
    return velocity


def control_cost(step: Step, weight: float) -> NDArray[np.float32]:
    """Weight times ‖a‖², (n,), in the precision of the actions."""
    cost: NDArray[np.float32] = weight * np.square(step.actions).sum(axis=-1)
    return cost


def norm(vectors: Floats) -> Floats:
    """Euclidean norms of the rows, (n,), with the dot product that `np.linalg.norm` takes."""
    norms: Floats = np.sqrt(np.vecdot(vectors, vectors))
    return norms


def scalar_squares(values: Floats) -> Floats:
    """Squares, (n,), as Gymnasium has them where it squares one number at a time.

    `x ** 2` of a number asks the C library's `pow`, whose last bit differs from that of `x * x` in
    one of a thousand cases; of an array, NumPy makes it `x * x`.
    """
    return np.array([value**2 for value in values.tolist()], dtype=np.float64)


def between(values: Floats, bounds: Pair) -> NDArray[np.bool_]:
    """Return whether the values lie strictly between the bounds."""
    low, high = bounds
    inside: NDArray[np.bool_] = (low < values) & (values < high)
    return inside


def nothing_ends(rewards: Floats, memory: Floats) -> Outcome:
    """Return the outcome of a step that can't end its episode and pays nothing for being alive."""
    count = len(rewards)
    return Outcome(rewards, np.zeros(count), np.zeros(count, dtype=np.bool_), memory)


def healthy_outcome(
    healthy: NDArray[np.bool_],
    *,
    forward: Floats,
    bonus: float,
    costs: NDArray[np.floating],
    ends: bool,
    memory: Floats,
) -> Outcome:
    """Return the outcome of a task that pays a bonus while healthy.

    Args:
        healthy: (n,)
        forward: (n,) the reward for moving forward.
        bonus: of a healthy step.
        costs: (n,) that are subtracted.
        ends: whether an unhealthy step terminates the episode.
        memory: (n, k) for the next step.
    """
    alive_bonus = healthy.astype(np.float64) * bonus
    terminated = ~healthy if ends else np.zeros(len(healthy), dtype=np.bool_)
    return Outcome(forward + alive_bonus - costs, alive_bonus, terminated, memory)
