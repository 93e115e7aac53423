"""How the outputs of a policy become actions."""

from __future__ import annotations

from dataclasses import dataclass
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

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return the actions (n, act) of outputs (n, act)."""
        if self.rescale:
            outputs = self.low + 0.5 * (outputs + 1) * (self.high - self.low)
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
