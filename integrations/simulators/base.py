"""The contract of a simulator: a pool of slots, each running one episode at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import MissingDependencyError, StructuredLayersError
from structured_layers.integrations.argument_values import is_integer

try:
    import gymnasium
except ImportError as error:
    raise MissingDependencyError("Simulation", "evolution") from error

MAX_CAPACITY = 256

Slots = Sequence[int] | NDArray[np.integer[Any]]


class StepResult(NamedTuple):
    """One step of a batch, a row per slot in the order they were given.

    Attributes:
        observations: (n, observation_size) float64.
        rewards: (n,) float64, the environment's whole reward; NaN where the environment failed.
        alive_bonus: (n,) float64, the part of the reward paid for being alive, 0 without one.
        terminated: (n,) bool, the episode ended by itself or by a failure.
        truncated: (n,) bool, the environment's own time limit was reached.
        warned: (n,) bool, the physics became unstable, as MuJoCo itself says. That ends the episode
            with what it earned before: the row is `terminated`, its reward and observation are 0.
    """

    observations: NDArray[np.float64]
    rewards: NDArray[np.float64]
    alive_bonus: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    warned: NDArray[np.bool_]

    @classmethod
    def of_failures(cls, count: int, observation_size: int) -> StepResult:
        """A result in which every row says that its environment failed."""
        return cls(
            observations=np.zeros((count, observation_size)),
            rewards=np.full(count, np.nan),
            alive_bonus=np.zeros(count),
            terminated=np.ones(count, dtype=np.bool_),
            truncated=np.zeros(count, dtype=np.bool_),
            warned=np.zeros(count, dtype=np.bool_),
        )

    @classmethod
    def of_warnings(cls, count: int, observation_size: int) -> StepResult:
        """A result in which every row says that its physics became unstable."""
        return cls(
            observations=np.zeros((count, observation_size)),
            rewards=np.zeros(count),
            alive_bonus=np.zeros(count),
            terminated=np.ones(count, dtype=np.bool_),
            truncated=np.zeros(count, dtype=np.bool_),
            warned=np.ones(count, dtype=np.bool_),
        )

    def write(self, rows: Sequence[int], values: StepResult) -> None:
        """Replace some rows by those of another result."""
        for column, new in zip(self, values, strict=True):
            column[list(rows)] = new


class Simulator(ABC):
    """Steps up to `capacity` episodes of one environment in lock-step.

    An episode lives in a slot. A slot starts one with `reset`, at any time and whatever the others
    do; `step` names the slots that go on. What happens in a slot depends on its seed and actions
    only, never on which others are in the batch.

    A failing environment does not stop the batch. In `step`, an exception, or a reward or an
    observation that is not finite, gives that row a reward of NaN, zeros as observation and
    `terminated`; in `reset` it gives a row of NaN. `last_error` then says what happened, and the
    slot needs a `reset` before its next step.

    Attributes:
        observation_size: numbers in one (flattened) observation.
        observation_shape: of one observation as the environment returns it, (observation_size,)
            where that is no array.
        action_space: a 1-D `Box`, a `Discrete` or a 1-D `MultiDiscrete`.
        time_limit: steps after which the environment truncates an episode, None without a limit.
        capacity: how many slots there are, numbered from 0.
        last_error: what the most recent failure of an environment was, None before the first.
    """

    observation_size: int
    observation_shape: tuple[int, ...]
    action_space: gymnasium.Space[Any]
    time_limit: int | None

    def __init__(self, capacity: int) -> None:
        """Check the number of slots."""
        if not is_integer(capacity) or not 1 <= capacity <= MAX_CAPACITY:
            raise StructuredLayersError(
                f"capacity must be between 1 and {MAX_CAPACITY}, got {capacity!r}; "
                "it is an integer, use several processes for more"
            )
        self.capacity = int(capacity)
        self.last_error: str | None = None

    @abstractmethod
    def reset(self, slots: Slots, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Start an episode in each slot.

        Args:
            slots: different numbers below `capacity`.
            seeds: a non-negative int for each, which fixes its episode.

        Returns:
            The first observations, (n, observation_size) float64; NaN in the rows that failed.
        """

    @abstractmethod
    def step(self, slots: Slots, actions: ArrayLike) -> StepResult:
        """Take one step in each slot.

        Args:
            slots: different slots whose episodes run.
            actions: (n, action_size) float32 within the bounds of a `Box`, or (n,) integers of a
                `Discrete`, or (n, parts) integers of a `MultiDiscrete`, their `start` included.
        """

    @abstractmethod
    def close(self) -> None:
        """Free every episode; a later `reset` starts anew."""

    def __enter__(self) -> Self:
        """Close at the end of a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened in the block."""
        self.close()

    def _checked_slots(self, slots: Slots) -> NDArray[np.intp]:
        """The slots as a new array of indices, or an error that names what is wrong with them."""
        try:
            array = np.asarray(slots)
        except ValueError:  # rows of different lengths
            array = np.zeros((1, 1))
        if array.size == 0:
            return np.empty(0, dtype=np.intp)
        # Plain Python: for one slot, as in most resets, NumPy's set functions take far longer.
        values = array.tolist()
        if (
            array.ndim != 1
            or array.dtype.kind not in "iu"
            or min(values) < 0
            or max(values) >= self.capacity
            or len(set(values)) != len(values)
        ):
            raise StructuredLayersError(
                f"slots must be different integers from 0 to {self.capacity - 1}, got {slots!r}"
            )
        return array.astype(np.intp)


def checked_seeds(seeds: Sequence[int], count: int) -> list[int]:
    """The seeds as Python ints, one for each slot, as Gymnasium wants them."""
    values = list(seeds) if isinstance(seeds, (Sequence, np.ndarray)) else []
    if len(values) != count or not all(is_integer(seed) and seed >= 0 for seed in values):
        raise StructuredLayersError(
            f"seeds must be {count} non-negative integers, one for each slot, got {seeds!r}"
        )
    return [int(seed) for seed in values]


def number_array(actions: ArrayLike) -> NDArray[Any]:
    """The actions as an array, or an error if they are no numbers."""
    try:
        array = np.asarray(actions)
    except (TypeError, ValueError):  # rows of different lengths, say
        array = np.empty(0, dtype=np.object_)
    if array.dtype.kind not in "fiub":
        raise StructuredLayersError(
            f"actions must be an array of numbers, a row for each slot, got {actions!r}"
        )
    return array


def is_bounded(values: NDArray[np.float64]) -> bool:
    """Return whether everything is finite, with its squares: one product, so it costs little.

    False may be wrong, for numbers beyond 1e150; whoever asks then looks at every row.
    """
    return math.isfinite(np.vdot(values, values))


def not_running_error(slot: int) -> StructuredLayersError:
    """The error for a step in a slot whose episode has not begun or has failed."""
    return StructuredLayersError(f"slot {slot} has no running episode; reset it first")


def describe(error: BaseException) -> str:
    """Type and text of an environment's exception; our own findings need no type."""
    if isinstance(error, StructuredLayersError):
        return str(error)
    return f"{type(error).__name__}: {error}"
