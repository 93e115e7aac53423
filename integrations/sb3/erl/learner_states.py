"""What learners and population saw last, as a learner's actor sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .learner_actor import normalizer_of

WINDOW, COUNT = 4_096, 256


def recent_states(model: Any, buffer: Any) -> Tensor | None:
    """Return states from all over the last 4,096 rows of a replay buffer, (S, obs), S ≤ 256.

    Args:
        model: the learner, whose VecNormalize normalises them.
        buffer: SB3's plain replay buffer.

    Returns:
        float32; None if the buffer is empty.
    """
    filled = buffer.buffer_size if buffer.full else buffer.pos
    window = min(filled, WINDOW)
    if window == 0:
        return None
    ages = np.unique(np.linspace(1, window, COUNT).astype(np.int64))
    rows = (buffer.pos - ages) % buffer.buffer_size
    states = buffer.observations[rows].reshape(-1, *buffer.obs_shape).astype(np.float64)
    statistics, clip = normalizer_of(model)
    if statistics is not None and clip is not None:
        states = np.clip((states - statistics.mean) / statistics.std, -clip, clip)
    return torch.from_numpy(states).float()
