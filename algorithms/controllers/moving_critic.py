"""A critic without a network: the moving average of the objectives, and of their spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

ROUNDING = 1e6 * torch.finfo(torch.float64).eps
"""Spread of equal objectives in shares of their mean, at most: b settles within some ε/(1 − γ)."""


class MovingCritic:
    """Turns objectives into advantages: (R − b) / s, b their moving average, s their spread.

    b ← γb + (1 − γ)R for one objective after the other, then s² ← γs² + (1 − γ)(R − b)² with the b
    that results, which serves the advantages, too; the first objectives set both to their mean and
    variance. The spread makes learning rates and entropy weights independent of the scale of the
    rewards. Where it is no more than rounding leaves of equal objectives, there are no advantages.

    Args:
        decay: γ, in [0, 1).
    """

    def __init__(self, decay: float = 0.99) -> None:
        """Start with nothing seen."""
        if not 0 <= decay < 1:
            raise StructuredLayersError(f"critic_decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.mean, self.variance = 0.0, 0.0
        self._is_new = True

    def advantages(self, objectives: Tensor) -> Tensor:
        """Take the objectives (n,) into the averages and return their advantages (n,)."""
        if self._is_new:
            self.mean = float(objectives.mean())
            self.variance = float((objectives - self.mean).square().mean())
            self._is_new = False
        else:
            self.mean = self._moved(self.mean, objectives)
            self.variance = self._moved(self.variance, (objectives - self.mean).square())
        spread = self.variance**0.5
        is_rounding = spread <= ROUNDING * abs(self.mean)
        return torch.zeros_like(objectives) if is_rounding else (objectives - self.mean) / spread

    def _moved(self, average: float, values: Tensor) -> float:
        weights = self.decay ** torch.arange(len(values) - 1, -1, -1, dtype=torch.float64)
        return self.decay ** len(values) * average + (1 - self.decay) * float(weights @ values)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        averages = torch.tensor([self.mean, self.variance], dtype=torch.float64)
        return {"averages": averages, "is_new": self._is_new}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.mean, self.variance = state["averages"].tolist()
        self._is_new = bool(state["is_new"])
