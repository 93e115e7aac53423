"""Learned control variates: what was seen in earlier generations, subtracted from what is seen now.

Each predicts from the past alone, so the estimates stay unbiased; see
:mod:`~structured_layers.algorithms.gradient_estimators` for where the predictions enter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .search_spaces import SearchSpace


class Baseline(ABC):
    """Predicts the fitness of a candidate from anything but its perturbation.

    Higher is better here, whatever the problem's sense.
    """

    @abstractmethod
    def predict(self, n: int, decisions: Tensor | None) -> Tensor:
        """Return what n candidates of these decisions (n, K) are expected to reach: (n,)."""

    @abstractmethod
    def observe(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Learn from the candidates of a generation: (n, K) and (n,)."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that later predictions depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""


class MeanBaseline(Baseline):
    """The moving average of the generations' mean fitness.

    It is what the vanilla estimator lacks; differences of two fitnesses lose it by themselves.

    Args:
        momentum: share of the old average that stays in each generation.
    """

    def __init__(self, momentum: float = 0.5) -> None:
        """Start with nothing seen, and predict zero."""
        if not 0 <= momentum < 1:
            raise StructuredLayersError(f"momentum must lie in [0, 1), got {momentum}")
        self.momentum = momentum
        self._mean: float | None = None

    def predict(self, n: int, decisions: Tensor | None) -> Tensor:
        """Return the average n times."""
        return torch.full((n,), self._mean or 0.0, dtype=torch.float64)

    def observe(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Take the generation's mean into the average."""
        new = float(fitnesses.double().mean())
        old = new if self._mean is None else self._mean
        self._mean = self.momentum * old + (1 - self.momentum) * new

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"mean": self._mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up an average."""
        self._mean = None if state["mean"] is None else float(state["mean"])


class StructureBaseline(Baseline):
    """A regression of the fitness on the structure: one effect per edge and value it takes.

    f(m) ≈ mean + Σ_e effect[e, m_e], m the topology vector of a candidate. Inside ES-ENAS the two
    candidates of a pair have different structures, and the difference of their fitnesses is noise
    to the gradient; this subtracts the part of it that past generations explain. The effects are
    learned from deviations within a generation, since the mean moves with the weights.

    Args:
        space: what the decisions mean.
        rate: of the normalised least-mean-squares steps, in (0, 1]: the share of a prediction's
            error that is corrected.

    Reference:
        Widrow, Hoff, 1960 (least mean squares).
    """

    def __init__(self, space: SearchSpace, *, rate: float = 0.1) -> None:
        """Start with no effects."""
        if not 0 < rate <= 1:
            raise StructuredLayersError(f"rate must lie in (0, 1], got {rate}")
        self._space, self._rate = space, rate
        self._mean = MeanBaseline()
        self._effects = torch.zeros(space.num_edges, space.num_values, dtype=torch.float64)

    def predict(self, n: int, decisions: Tensor | None) -> Tensor:
        """Return the mean plus the effects of each structure."""
        edges = torch.arange(len(self._effects))
        effects = self._effects[edges, self._topologies(decisions)]  # (n, T)
        return self._mean.predict(n, decisions) + effects.sum(dim=1)

    def observe(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Move the effects along the errors of the predictions."""
        fitnesses, edges = fitnesses.double(), torch.arange(len(self._effects))
        topologies = self._topologies(decisions)
        rest = fitnesses - self._effects[edges, topologies].sum(dim=1)
        # one after the other: steps that are stable for one structure may not be for a hundred
        for row, deviation in zip(topologies, fitnesses - rest.mean(), strict=True):
            effects = self._effects[edges, row]
            self._effects[edges, row] = effects + self._rate * (deviation - effects.sum()) / len(
                row
            )
        self._mean.observe(decisions, rest)

    def state_dict(self) -> dict[str, Any]:
        """Return the effects and the mean."""
        return {"effects": self._effects.clone(), **self._mean.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up effects and a mean."""
        self._effects = state["effects"].clone()
        self._mean.load_state_dict(state)

    def _topologies(self, decisions: Tensor | None) -> Tensor:
        if decisions is None:
            raise StructuredLayersError("a structure baseline needs decisions: use it in ESENAS")
        return self._space.decode(decisions)


class SlopeVariate:
    """The gradient as earlier generations saw it: the linear part of what a direction will bring.

    a = c·m with m the moving average of the estimates and c, learned from how well m foretold the
    estimates after it, the factor that makes E‖g − c·m‖² least. The estimators subtract σ aᵀε_i
    from a value and add a back; what is left to sense is the change of the gradient.

    Args:
        dimension: d.
        momentum: share of the old average that stays in each generation.
    """

    def __init__(self, dimension: int, *, momentum: float = 0.9) -> None:
        """Start with nothing seen, and predict zero."""
        if not 0 <= momentum < 1:
            raise StructuredLayersError(f"momentum must lie in [0, 1), got {momentum}")
        self.momentum = momentum
        self._average = torch.zeros(dimension, dtype=torch.float64)
        self._agreement, self._norm = 0.0, 0.0

    def slope(self) -> Tensor:
        """Return a, (d,)."""
        factor = self._agreement / self._norm if self._norm > 0 else 0.0
        return min(max(factor, 0.0), 1.0) * self._average

    def observe(self, gradient: Tensor) -> None:
        """Learn from the estimate of a generation, made with or without this slope."""
        gradient, keep = gradient.double(), self.momentum
        self._agreement = keep * self._agreement + float((gradient * self._average).sum())
        self._norm = keep * self._norm + float((self._average**2).sum())
        self._average = keep * self._average + (1 - keep) * gradient

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later slopes depend on."""
        return {
            "average": self._average.clone(),
            "agreement": self._agreement,
            "norm": self._norm,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._average = state["average"].clone()
        self._agreement, self._norm = float(state["agreement"]), float(state["norm"])
