"""Writing many transitions into a replay buffer of Stable-Baselines3 at once."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from .recording import Transitions


def add_transitions(buffer: ReplayBuffer, transitions: Transitions) -> int:
    """Add transitions as ``buffer.add`` would one by one, and return how many were added.

    A buffer of several environments takes a row of one transition for each; those that fill no
    row, less than there are environments, are left out. Of more than fit the last are kept.

    Args:
        buffer: a plain one without ``optimize_memory_usage``.
        transitions: N of them.
    """
    rows = min(transitions.size // buffer.n_envs, buffer.buffer_size)
    count = rows * buffer.n_envs
    if count == 0:
        return 0
    place = (buffer.pos + np.arange(rows)) % buffer.buffer_size
    fields = (
        (buffer.observations, transitions.observations),
        (buffer.next_observations, transitions.next_observations),
        (buffer.actions, transitions.actions),
        (buffer.rewards, transitions.rewards),
        (buffer.dones, transitions.terminated),
    )
    # All are shaped before any is written, so that an error leaves the buffer as it was.
    shaped = [(to, values[-count:].reshape(rows, *to.shape[1:])) for to, values in fields]
    for target, values in shaped:
        target[place] = values
    buffer.timeouts[place] = 0.0  # an episode that was cut off did not terminate
    buffer.full = buffer.full or buffer.pos + rows >= buffer.buffer_size
    buffer.pos = (buffer.pos + rows) % buffer.buffer_size
    return count
