"""Statistics of observations: running ones, frozen during a generation, or given and fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from structured_layers.errors import StructuredLayersError

from .rollouts import Rollouts

Statistics = tuple[ArrayLike, ArrayLike]
"""Mean and standard deviation of observations, (obs,) each."""


class ObservationNormalizer:
    """Mean and standard deviation of the observations of earlier generations that were merged.

    Args:
        observation_size: number of entries of an observation.
        fixed: mean and standard deviation that are given and never change; None learns them.

    Raises:
        StructuredLayersError: statistics of another size, or that do not scale.

    Reference:
        Mania, Guy, Recht, 2018 (arXiv 1803.07055), Algorithm 2 (V2).
    """

    def __init__(self, observation_size: int, *, fixed: Statistics | None = None) -> None:
        """Start with nothing seen: mean 0, standard deviation 1; or with what is given."""
        self.fixed = None if fixed is None else _checked(fixed, observation_size)
        self.count = 0
        self.sum = np.zeros(observation_size)
        self.sum_of_squares = np.zeros(observation_size)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ObservationNormalizer:
        """Make one from what :meth:`state_dict` returned."""
        if "mean" in state:
            return cls(len(state["mean"]), fixed=(state["mean"].numpy(), state["std"].numpy()))
        normalizer = cls(len(state["sum"]))
        normalizer.load_state_dict(state)
        return normalizer

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each entry, (obs,)."""
        return self.sum / max(self.count, 1) if self.fixed is None else self.fixed[0].copy()

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each entry, (obs,); 1 for an entry that never changed."""
        if self.fixed is not None:
            return self.fixed[1].copy()
        if self.count < 2:
            return np.ones_like(self.sum)
        variance = self.sum_of_squares / self.count - self.mean**2
        # the difference of two sums cannot resolve less than their rounding error
        resolved = variance > 1e-12 * (self.sum_of_squares / self.count)
        return np.sqrt(np.where(resolved, variance, 1.0))

    def merge(self, rollouts: Rollouts, num_rows: int | None = None) -> None:
        """Add what candidates observed, unless the statistics are fixed.

        Args:
            rollouts: of a generation; candidates that failed do not count.
            num_rows: how many of the first rows count; None is all of them.
        """
        if self.fixed is not None:
            return
        good = ~rollouts.failed
        if num_rows is not None:
            good[num_rows:] = False
        self.count += int(rollouts.steps[good].sum())
        self.sum = self.sum + rollouts.observation_sum[good].sum(axis=0)
        squares = rollouts.observation_sum_of_squares[good].sum(axis=0)
        self.sum_of_squares = self.sum_of_squares + squares

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        if self.fixed is not None:
            return {"mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std)}
        return {
            "count": self.count,
            "sum": torch.from_numpy(self.sum.copy()),
            "sum_of_squares": torch.from_numpy(self.sum_of_squares.copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned.

        Raises:
            StructuredLayersError: one of the two is fixed, and the other one is not the same.
        """
        if self.fixed is not None or "mean" in state:
            self._check_same(state)
            return
        self.count = int(state["count"])
        self.sum = state["sum"].numpy().copy()
        self.sum_of_squares = state["sum_of_squares"].numpy().copy()

    def _check_same(self, state: Mapping[str, Any]) -> None:
        is_same = self.fixed is not None and all(
            name in state and np.array_equal(state[name].numpy(), values)
            for name, values in zip(("mean", "std"), self.fixed, strict=True)
        )
        if not is_same:
            raise StructuredLayersError(
                "statistics of observations that are fixed cannot be exchanged for others; make "
                "the problem with the observation_normalization of the one that was saved"
            )


def make_normalizer(
    setting: bool | Statistics, observation_size: int
) -> ObservationNormalizer | None:
    """Return the normalizer of a problem: running statistics, fixed ones, or None.

    Raises:
        StructuredLayersError: neither a bool nor a mean and a standard deviation of that size.
    """
    if isinstance(setting, (bool, np.bool_)):
        return ObservationNormalizer(observation_size) if setting else None
    return ObservationNormalizer(observation_size, fixed=_checked(setting, observation_size))


def _checked(fixed: Statistics, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation as arrays (size,) of their own."""
    needed = f"a mean and a standard deviation of {size} observations, two arrays ({size},)"
    try:
        mean, std = (np.array(values, dtype=np.float64) for values in fixed)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StructuredLayersError(
            f"observation_normalization must be True, False or {needed}, got {fixed!r}"
        ) from error
    if mean.shape != (size,) or std.shape != (size,):
        raise StructuredLayersError(
            f"observation_normalization must be {needed}, got shapes {mean.shape} and {std.shape}"
        )
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise StructuredLayersError(
            "the mean and standard deviation of observation_normalization must be finite, and the "
            "latter positive; give an entry that never changes a standard deviation of 1"
        )
    return mean, std
