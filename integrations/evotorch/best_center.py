"""The best centre of a run so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .normalizer import ObservationNormalizer


class BestCenter:
    """Keeps the centre with the highest mean return, and the normaliser it was evaluated with."""

    def __init__(self) -> None:
        """Start with none."""
        self.value = -torch.inf
        self.solution: Tensor | None = None
        self.normalizer: ObservationNormalizer | None = None
        self.size: int | None = None

    def offer(
        self,
        value: float,
        solution: Tensor,
        normalizer: ObservationNormalizer | None,
        size: int | None = None,
    ) -> None:
        """Keep ``solution`` if its ``value`` is higher than all before, or its ``size`` smaller.

        Where the number of edges falls in the course of a run, what had more of them is no result.
        """
        is_smaller = size is not None and (self.size is None or size < self.size)
        if value > self.value or is_smaller:
            self.value, self.solution, self.normalizer = value, solution, normalizer
            self.size = size

    def state_dict(self) -> dict[str, Any]:
        """Return the centre kept, nothing if there is none."""
        if self.solution is None:
            return {}
        state: dict[str, Any] = {"value": self.value, "solution": self.solution}
        if self.normalizer is not None:
            state["normalizer"] = self.normalizer.state_dict()
        if self.size is not None:
            state["size"] = self.size
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.__init__()  # type: ignore[misc]
        if not state:
            return
        self.value, self.solution = float(state["value"]), state["solution"]
        self.size = state.get("size")
        if "normalizer" in state:
            self.normalizer = ObservationNormalizer.from_state(state["normalizer"])
