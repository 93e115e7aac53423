"""What a vectorized task is: a small environment as functions on rows of numbers.

As in the MuJoCo tasks, every row gets the bits that Gymnasium's scalar code gives it, and the
precision of each term is Gymnasium's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class VectorizedOutcome(NamedTuple):
    """What a step did: new states (n, state_size), rewards (n,) and ends (n,)."""

    states: Floats
    rewards: Floats
    terminated: NDArray[np.bool_]


class VectorizedTask(ABC):
    """A small environment. Subclasses are frozen dataclasses of the constructor's arguments.

    Attributes:
        entry_point: of the environment that the task equals, as Gymnasium registers it.
        time_limit: steps after which Gymnasium's registration truncates an episode.
        state_size: numbers in a state.
        observation_size: numbers in an observation.
        action_space: Gymnasium's.
    """

    entry_point: ClassVar[str]
    time_limit: ClassVar[int]
    state_size: ClassVar[int]
    observation_size: ClassVar[int]
    action_space: ClassVar[gymnasium.spaces.Box]

    @abstractmethod
    def start(self, generator: np.random.Generator) -> Floats:
        """Return the first state of one episode, with Gymnasium's draws."""

    @abstractmethod
    def observe(self, states: Floats) -> Floats:
        """Return observations (n, observation_size), rounded as Gymnasium rounds them."""

    @abstractmethod
    def step(
        self, states: Floats, actions: NDArray[np.float32], steps: NDArray[np.int64]
    ) -> VectorizedOutcome:
        """Take a step.

        Args:
            states: (n, state_size), which are not changed.
            actions: (n, action_size).
            steps: (n,) the number of this step in its episode, from 1.
        """


def rounded(values: NDArray[Any]) -> Floats:
    """Round to single precision, as Gymnasium stores these observations."""
    return values.astype(np.float32).astype(np.float64)
