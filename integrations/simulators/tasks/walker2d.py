"""Walker2d-v5: two legs in the plane that have to stay upright while they walk forward."""

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


def is_healthy(qpos: Floats) -> NDArray[np.bool_]:
    """Torso between 0.8 and 2.0 and within 1 rad of upright, (n,)."""
    height, angle = qpos[:, 1], qpos[:, 2]
    healthy: NDArray[np.bool_] = (height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0)
    return healthy


def judge(transition: Transition) -> Outcome:
    """Forward velocity, 1 for being healthy, control cost."""
    return judge_upright(transition, is_healthy(transition.qpos), control_weight=1e-3)


WALKER2D = Task(
    xml="walker2d_v5.xml",
    frame_skip=4,
    start=partial(uniform_start, noise=5e-3),
    observe=observe_clipped,
    judge=judge,
)
