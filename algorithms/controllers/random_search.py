"""The baseline that learns nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..argument_checks import check_integer
from ..search_spaces import SearchSpace
from .base import Controller


class RandomSearch(Controller):
    """Proposes uniform random structures and remembers the best one it saw.

    Args:
        space: what is decided.
        seed: of the controller's own generator; None draws one.
    """

    def __init__(self, space: SearchSpace, *, seed: int | None = None) -> None:
        """Draw a first structure, so that there is a best one from the start."""
        super().__init__(space, seed=seed)
        self._best = space.sample(1, self.generator)[0]
        self._best_objective = -torch.inf

    def propose(self, n: int) -> Tensor:
        """Return n uniform structures: (n, K)."""
        check_integer("n", n, 1)
        return self.space.sample(n, self.generator)

    def best(self) -> Tensor:
        """Return the structure (K,) with the highest objective observed so far."""
        return self._best.clone()

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        top = int(objectives.argmax())
        if float(objectives[top]) > self._best_objective:
            self._best, self._best_objective = decisions[top], float(objectives[top])

    def _state(self) -> dict[str, Any]:
        objective = torch.tensor(self._best_objective, dtype=torch.float64)
        return {"best": self._best, "best_objective": objective}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._best = state["best"]
        self._best_objective = float(state["best_objective"])
