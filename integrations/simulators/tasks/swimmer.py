"""Swimmer-v5: three links in a viscous fluid, rewarded for speed along x."""

from __future__ import annotations

from functools import partial

import numpy as np

from .base import Floats, Task, judge_running, uniform_start


def observe(qpos: Floats, qvel: Floats) -> Floats:
    """Angles without the position in the plane, then all velocities."""
    return np.concatenate((qpos[:, 2:], qvel), axis=1)


SWIMMER = Task(
    xml="swimmer.xml",
    frame_skip=4,
    start=partial(uniform_start, noise=0.1),
    observe=observe,
    judge=partial(judge_running, control_weight=1e-4),
)
