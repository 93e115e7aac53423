"""How the outputs of a policy become actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BoxActions:
    """Outputs clipped to bounds.

    Attributes:
        low: (act,)
        high: (act,)
    """

    low: NDArray[np.floating]
    high: NDArray[np.floating]

    @property
    def num_outputs(self) -> int:
        """One output per action."""
        return len(self.low)

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return the actions (n, act) of outputs (n, act)."""
        actions: NDArray[Any] = np.clip(outputs, self.low, self.high)
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


Actions = BoxActions | DiscreteActions
