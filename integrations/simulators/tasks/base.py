"""What a task is, and the terms that several tasks share.

All functions work on a batch, one episode a row, and give each row the bits that Gymnasium's own
scalar code gives it. That is why the control cost stays in float32 like the actions, and why no
formula here may be rearranged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = tuple[Floats, Floats]


class Transition(NamedTuple):
    """One step of n episodes.

    Attributes:
        qpos_before: (n, nq) positions before the step.
        qpos: (n, nq) positions after it.
        qvel: (n, nv) velocities after it.
        actions: (n, nu) float32.
        seconds: simulated time of the step.
    """

    qpos_before: Floats
    qpos: Floats
    qvel: Floats
    actions: NDArray[np.float32]
    seconds: float


class Outcome(NamedTuple):
    """What a step earned: rewards, the alive bonus in them, and whether the episode ended."""

    rewards: Floats  # (n,)
    alive_bonus: Floats  # (n,)
    terminated: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True)
class Task:
    """A MuJoCo environment as functions on its state.

    Attributes:
        xml: the model, a file among Gymnasium's assets.
        frame_skip: physics steps per action.
        start: (generator, qpos0, qvel0) → the start state of one episode, with Gymnasium's draws.
        observe: (qpos (n, nq), qvel (n, nv)) → observations (n, observation_size).
        judge: Transition → Outcome.
        time_limit: steps after which an episode is truncated.
    """

    xml: str
    frame_skip: int
    start: Callable[[np.random.Generator, Floats, Floats], State]
    observe: Callable[[Floats, Floats], Floats]
    judge: Callable[[Transition], Outcome]
    time_limit: int = 1000


def uniform_start(
    generator: np.random.Generator, qpos0: Floats, qvel0: Floats, *, noise: float
) -> State:
    """Add uniform noise to the positions, then to the velocities."""
    qpos = qpos0 + generator.uniform(low=-noise, high=noise, size=qpos0.size)
    qvel = qvel0 + generator.uniform(low=-noise, high=noise, size=qvel0.size)
    return qpos, qvel


def forward_velocity(transition: Transition) -> Floats:
    """Mean velocity along x during the step, (n,)."""
    return (transition.qpos[:, 0] - transition.qpos_before[:, 0]) / transition.seconds


def control_cost(transition: Transition, weight: float) -> NDArray[np.float32]:
    """Weight times ‖a‖², (n,), in the precision of the actions."""
    cost: NDArray[np.float32] = weight * np.square(transition.actions).sum(axis=-1)
    return cost


def judge_running(transition: Transition, *, control_weight: float) -> Outcome:
    """Reward forward velocity minus control cost; nothing ends the episode."""
    rewards = forward_velocity(transition) - control_cost(transition, control_weight)
    return Outcome(rewards, np.zeros(len(rewards)), np.zeros(len(rewards), dtype=np.bool_))


def judge_upright(
    transition: Transition, healthy: NDArray[np.bool_], *, control_weight: float
) -> Outcome:
    """Reward forward velocity plus 1 while healthy minus control cost; unhealthy ends it."""
    alive_bonus = healthy.astype(np.float64)
    rewards = forward_velocity(transition) + alive_bonus - control_cost(transition, control_weight)
    return Outcome(rewards, alive_bonus, ~healthy)


def observe_clipped(qpos: Floats, qvel: Floats) -> Floats:
    """Positions without x, and velocities clipped to ±10."""
    return np.concatenate((qpos[:, 1:], np.clip(qvel, -10, 10)), axis=1)
