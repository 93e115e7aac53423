"""Train a model for some more steps, with a learning rate that ends at zero."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def fine_tune_(model: Any, num_steps: int, learning_rate: float | None = None) -> None:
    """Let a model learn for a number of environment steps more, in place.

    Args:
        model: of any algorithm.
        num_steps: environment steps; the algorithm rounds them up to whole rollouts.
        learning_rate: where the learning rate starts, on its line to zero. The model's own schedule
            is back afterwards; None leaves that one in charge throughout.
    """
    if learning_rate is None or not hasattr(model, "lr_schedule"):
        model.learn(num_steps, reset_num_timesteps=False, log_interval=None)
        return
    schedule = model.lr_schedule
    start = num_steps / (num_steps + model.num_timesteps)  # what SB3 calls progress remaining
    model.lr_schedule = lambda left: learning_rate * min(max(left, 0.0) / start, 1.0)
    try:
        model.learn(num_steps, reset_num_timesteps=False, log_interval=None)
    finally:
        model.lr_schedule = schedule


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Seed Python, NumPy and torch, on which SB3 draws, and give back their states at the end."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
