"""How the outputs of a policy become actions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BoxActions:
    """Outputs clipped to bounds, or rescaled to them.

    Attributes:
        low: (act,)
        high: (act,)
        rescale: whether outputs lie in [-1, 1], of which -1 stands for ``low`` and 1 for ``high``.
    """

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    rescale: bool = False

    @property
    def num_outputs(self) -> int:
        """One output per action."""
        return len(self.low)

    @cached_property
    def _bounds(self) -> tuple[Any, Any]:
        """The bounds, as two numbers if all actions share them, which takes less time."""
        low, high = self.low, self.high
        if len(low) and (low == low[0]).all() and (high == high[0]).all():
            return low[0], high[0]
        return low, high

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return the actions (n, act) of outputs (n, act)."""
        if self.rescale:
            outputs = self.low + 0.5 * (outputs + 1) * (self.high - self.low)
        low, high = self._bounds
        # A quarter of the time of `np.clip`, which counts where the physics is cheap.
        actions: NDArray[Any] = np.minimum(np.maximum(outputs, low), high)
        return actions.astype(self.low.dtype, copy=False)


@dataclass(frozen=True)
class DiscreteActions:
    """The index of the largest output, counted from ``start``.

    Attributes:
        n: how many actions there are.
        start: the first of them.
    """

    n: int
    start: int = 0

    @property
    def num_outputs(self) -> int:
        """One output per choice."""
        return self.n

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return the actions (n,) of outputs (n, number of actions)."""
        actions: NDArray[Any] = outputs.argmax(axis=1) + self.start
        return actions


@dataclass(frozen=True)
class MultiDiscreteActions:
    """For each of several choices the index of its largest output, counted from its start.

    Attributes:
        sizes: how many actions each choice has; its outputs follow those of the choice before.
        starts: the first action of each.
    """

    sizes: tuple[int, ...]
    starts: tuple[int, ...]

    @property
    def num_outputs(self) -> int:
        """One output per action of each choice."""
        return sum(self.sizes)

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return the actions (n, choices) of outputs (n, number of actions of all choices)."""
        parts = np.split(outputs, np.cumsum(self.sizes)[:-1], axis=1)
        choices = [part.argmax(axis=1) for part in parts]
        actions: NDArray[Any] = np.stack(choices, axis=1) + np.asarray(self.starts)
        return actions


Actions = BoxActions | DiscreteActions | MultiDiscreteActions
