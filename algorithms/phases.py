"""Structures that are held while the weights learn, and judged by the best that they came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .controllers.good_structures import row_keys


class Phase:
    """Holds a generation's structures for T weight updates and keeps each one's best return.

    Args:
        length: T.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511).
    """

    def __init__(self, length: int) -> None:
        """Start between two phases."""
        self.length = length
        self.age = 0
        self.decisions: Tensor | None = None
        self._best = torch.empty(0, dtype=torch.float64)

    def observe(self, decisions: Tensor, returns: Tensor) -> tuple[Tensor, Tensor] | None:
        """Take in the returns (n,) of the structures (n, K) after an update of the weights.

        Returns:
            The different structures (m, K) and their objectives (m,) if the phase is over, else
            None.
        """
        returns = returns.double()
        self._best = torch.maximum(self._best, returns) if self.age else returns.clone()
        self.decisions, self.age = decisions, self.age + 1
        if self.age < self.length:
            return None
        self.decisions, self.age = None, 0
        return averaged(decisions, self._best)

    def state_dict(self) -> dict[str, Any]:
        """Return what is held."""
        state: dict[str, Any] = {"age": self.age}
        if self.decisions is not None:
            state |= {"decisions": self.decisions, "best": self._best}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.age, self.decisions = int(state["age"]), state.get("decisions")
        if self.decisions is not None:
            self._best = state["best"]


def averaged(decisions: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the different rows (m, K) in their first order, and the mean value of each (m,)."""
    numbers: dict[bytes, int] = {}
    which = torch.tensor([numbers.setdefault(key, len(numbers)) for key in row_keys(decisions)])
    first = torch.stack([(which == number).nonzero()[0, 0] for number in range(len(numbers))])
    sums = torch.zeros(len(numbers), dtype=torch.float64).index_add_(0, which, values.double())
    return decisions[first], sums / which.bincount()
