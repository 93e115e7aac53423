"""HalfCheetah-v5: a two-legged runner in the plane that cannot fall out of its episode."""

from __future__ import annotations

from functools import partial

import numpy as np

from .base import Floats, State, Task, judge_running


def start(generator: np.random.Generator, qpos0: Floats, qvel0: Floats) -> State:
    """Uniform noise on the positions, normal noise on the velocities."""
    qpos = qpos0 + generator.uniform(low=-0.1, high=0.1, size=qpos0.size)
    qvel = qvel0 + 0.1 * generator.standard_normal(qvel0.size)
    return qpos, qvel


def observe(qpos: Floats, qvel: Floats) -> Floats:
    """Positions without x, then all velocities."""
    return np.concatenate((qpos[:, 1:], qvel), axis=1)


HALF_CHEETAH = Task(
    xml="half_cheetah.xml",
    frame_skip=5,
    start=start,
    observe=observe,
    judge=partial(judge_running, control_weight=0.1),
)
