"""Running statistics of observations, frozen during a generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .rollouts import Rollouts


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

    def merge(self, rollouts: Rollouts, num_rows: int | None = None) -> None:
        """Add what candidates observed.

        Args:
            rollouts: of a generation; candidates that failed do not count.
            num_rows: how many of its first candidates count; None is all.
        """
        good = ~rollouts.failed
        if num_rows is not None:
            good[num_rows:] = False
        self.count += int(rollouts.steps[good].sum())
        self.sum = self.sum + rollouts.observation_sum[good].sum(axis=0)
        squares = rollouts.observation_sum_of_squares[good].sum(axis=0)
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
