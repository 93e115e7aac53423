"""Hopper-v5: one leg that has to stay upright while it hops forward."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from .base import (
    Floats,
    Outcome,
    Task,
    Transition,
    judge_upright,
    observe_clipped,
    uniform_start,
)


def is_healthy(qpos: Floats, qvel: Floats) -> NDArray[np.bool_]:
    """Torso above 0.7 and within 0.2 rad of upright, all else within ±100, (n,)."""
    height, angle = qpos[:, 1], qpos[:, 2]
    bounded = (np.abs(qpos[:, 2:]) < 100.0).all(axis=1) & (np.abs(qvel) < 100.0).all(axis=1)
    healthy: NDArray[np.bool_] = (
        bounded & (height > 0.7) & (height < np.inf) & (angle > -0.2) & (angle < 0.2)
    )
    return healthy


def judge(transition: Transition) -> Outcome:
    """Forward velocity, 1 for being healthy, control cost."""
    healthy = is_healthy(transition.qpos, transition.qvel)
    return judge_upright(transition, healthy, control_weight=1e-3)


HOPPER = Task(
    xml="hopper.xml",
    frame_skip=4,
    start=partial(uniform_start, noise=5e-3),
    observe=observe_clipped,
    judge=judge,
)
