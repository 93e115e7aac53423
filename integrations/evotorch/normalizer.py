"""Running statistics of observations, frozen during a generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class ObservationNormalizer:
    """Mean and standard deviation of the observations of earlier generations that were merged.

    Args:
        observation_size: number of entries of an observation.

    Reference:
        Mania, Guy, Recht, 2018 (arXiv 1803.07055), Algorithm 2 (V2).
    """

    def __init__(self, observation_size: int) -> None:
        """Start with nothing seen: mean 0, standard deviation 1."""
        self.count = 0
        self.sum = np.zeros(observation_size)
        self.sum_of_squares = np.zeros(observation_size)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each entry, (obs,)."""
        return self.sum / max(self.count, 1)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each entry, (obs,); 1 for an entry that never changed."""
        if self.count < 2:
            return np.ones_like(self.sum)
        variance = self.sum_of_squares / self.count - self.mean**2
        # the difference of two sums cannot resolve less than their rounding error
        resolved = variance > 1e-12 * (self.sum_of_squares / self.count)
        return np.sqrt(np.where(resolved, variance, 1.0))

    def merge(self, count: int, total: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        """Add a number of observations by their count, sum and sum of squares."""
        self.count += count
        self.sum = self.sum + total
        self.sum_of_squares = self.sum_of_squares + squares

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        return {
            "count": self.count,
            "sum": torch.from_numpy(self.sum.copy()),
            "sum_of_squares": torch.from_numpy(self.sum_of_squares.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.count = int(state["count"])
        self.sum = state["sum"].numpy().copy()
        self.sum_of_squares = state["sum_of_squares"].numpy().copy()
