"""A simulator that keeps every transition it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators import Simulator
from structured_layers.integrations.simulators.base import Slots, StepResult

Floats = NDArray[np.float64]


class Transitions(NamedTuple):
    """N transitions in the order in which they were made.

    Attributes:
        observations: (N, obs) before the step, as the environment returned them.
        next_observations: (N, obs) after it, also where an episode ended.
        actions: (N, act) float32, scaled to [-1, 1].
        rewards: (N,) whole rewards, the bonus for being alive included.
        terminated: (N,) bool; an episode that was cut by a time limit does not end here.
    """

    observations: Floats
    next_observations: Floats
    actions: NDArray[np.float32]
    rewards: Floats
    terminated: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> Transitions:
        """Return the transitions of a mask (N,)."""
        return Transitions(
            self.observations[rows],
            self.next_observations[rows],
            self.actions[rows],
            self.rewards[rows],
            self.terminated[rows],
        )

    @property
    def size(self) -> int:
        """How many there are, N."""
        return len(self.rewards)


class RecordingSimulator(Simulator):
    """Steps another simulator by actions in [-1, 1], and records what happens.

    Steps in which an environment failed or its physics became unstable are left out: they say
    nothing that a learner should believe.

    Args:
        inner: whose ``action_space`` is a Box; it is closed with this one.
    """

    def __init__(self, inner: Simulator) -> None:
        """Take over what the inner simulator says of its environment."""
        super().__init__(inner.capacity)
        space = inner.action_space
        if not isinstance(space, spaces.Box):
            raise StructuredLayersError(
                f"transitions are recorded of actions in a Box, this environment's are {space}"
            )
        self.observation_size = inner.observation_size
        self.observation_shape = inner.observation_shape
        self.time_limit = inner.time_limit
        self.action_space = spaces.Box(-1.0, 1.0, space.shape, np.float32)
        self._inner, self._low, self._high = inner, space.low, space.high
        self._observations = np.zeros((inner.capacity, inner.observation_size))
        self._steps: list[Transitions] = []

    def reset(self, slots: Slots, seeds: Sequence[int]) -> Floats:
        """Start an episode in each slot."""
        observations = self._inner.reset(slots, seeds)
        self.last_error = self._inner.last_error
        self._observations[slots] = observations
        return observations

    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot by actions (n, act) in [-1, 1]."""
        scaled = np.asarray(actions, dtype=np.float32)
        unscaled = self._low + 0.5 * (scaled + 1) * (self._high - self._low)
        unscaled = unscaled.clip(self._low, self._high).astype(self._low.dtype)
        result = self._inner.step(slots, unscaled)
        self.last_error = self._inner.last_error
        made = Transitions(
            self._observations[slots],  # indexing by an array copies
            result.observations.copy(),
            scaled.copy(),
            result.rewards.copy(),
            result.terminated.copy(),
        )
        sound = np.isfinite(result.rewards) & ~result.warned
        self._steps.append(made if sound.all() else made.take(sound))
        self._observations[slots] = result.observations
        return result

    def take(self) -> Transitions:
        """Return all transitions since the last call, and forget them."""
        size, actions = self.observation_size, self._low.shape
        nothing = Transitions(
            np.zeros((0, size)),
            np.zeros((0, size)),
            np.zeros((0, *actions), np.float32),
            np.zeros(0),
            np.zeros(0, np.bool_),
        )
        steps, self._steps = [nothing, *self._steps], []
        return Transitions(*(np.concatenate(parts) for parts in zip(*steps, strict=True)))

    def close(self) -> None:
        """Free every episode, and forget what was recorded."""
        self._steps = []
        self._inner.close()
