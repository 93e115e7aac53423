"""What a problem of the suite is: a vector of residuals, a starting point, and their sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Residuals = Callable[[Tensor, int], Tensor]
"""F of a batch: points (batch, n) and m to residuals (batch, m)."""


@dataclass(frozen=True)
class LeastSquares:
    """A function F from n variables to m residuals, with a point to start from.

    Args:
        name: unique among the problems of a collection.
        function: name of F; several problems share one.
        residuals: F.
        num_residuals: m.
        start: x₀, n numbers.
        positive_part: in the non-differentiable setting F is taken at max(x, 0).
    """

    name: str
    function: str
    residuals: Residuals
    num_residuals: int
    start: tuple[float, ...]
    positive_part: bool = False

    @property
    def dimension(self) -> int:
        """n."""
        return len(self.start)

    def start_point(self) -> Tensor:
        """Return x₀: (n,)."""
        return torch.tensor(self.start, dtype=torch.float64)

    def units(self) -> Tensor:
        """Return max(1, |x₀|), the unit in which searches measure each variable: (n,)."""
        return self.start_point().abs().clamp(min=1.0)

    def __call__(self, points: Tensor) -> Tensor:
        """Return F: (batch, n) to (batch, m)."""
        return self.residuals(points, self.num_residuals)
