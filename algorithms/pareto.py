"""The structures that no other one beats in both return and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

Cost = Callable[[Tensor], Tensor]
"""Decisions (n, K) → what each structure costs (n,), lower is better."""


def non_dominated(returns: Tensor, costs: Tensor) -> Tensor:
    """Return which points no other point dominates.

    A point dominates another if its return is at least as high and its cost at least as low, and
    one of both is better. Of equal points the first stays.

    Args:
        returns: (n,), higher is better.
        costs: (n,), lower is better.

    Returns:
        (n,) bool.

    Examples:
        >>> non_dominated(torch.tensor([5.0, 7.0, 6.0]), torch.tensor([1.0, 3.0, 4.0]))
        tensor([ True,  True, False])
    """
    if returns.ndim != 1 or returns.shape != costs.shape:
        raise StructuredLayersError(
            f"returns and costs must be two vectors of one length, got {tuple(returns.shape)} and "
            f"{tuple(costs.shape)}"
        )
    # by cost, then by falling return: a point stays if it returns more than all that are cheaper
    order = (-returns).argsort(stable=True)
    order = order[costs[order].argsort(stable=True)]
    sorted_returns = returns[order].double()
    before = torch.full_like(sorted_returns, -torch.inf)
    before[1:] = sorted_returns.cummax(dim=0).values[:-1]
    kept = torch.zeros(len(returns), dtype=torch.bool)
    kept[order] = sorted_returns > before
    return kept


class ParetoArchive:
    """Keeps what is not dominated among all structures that were evaluated.

    The returns are those of single candidates, each with perturbed weights: the front is that of
    the luckiest ones, and a structure of it has to be trained and evaluated again.

    Args:
        cost: of structures.
        name: what it counts, the column of a table.

    Attributes:
        decisions: (m, K), in order of their costs.
        returns: (m,).
        costs: (m,).
        generations: when each was evaluated, (m,).
    """

    def __init__(self, cost: Cost, *, name: str = "cost") -> None:
        """Start empty."""
        self.cost, self.name = cost, name
        self.decisions = torch.empty(0, 0, dtype=torch.int64)
        self.returns = torch.empty(0, dtype=torch.float64)
        self.costs = torch.empty(0, dtype=torch.float64)
        self.generations = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        """Return the number of structures on the front."""
        return len(self.returns)

    def observe(self, decisions: Tensor, returns: Tensor, generation: int) -> None:
        """Take in the structures (n, K) of a generation and their returns (n,)."""
        costs = checked_values("a cost", self.cost(decisions), len(decisions))
        known = self.decisions if len(self) else decisions[:0]
        times = torch.full((len(decisions),), generation)
        self._keep(
            torch.cat([known, decisions]),
            torch.cat([self.returns, returns.double()]),
            torch.cat([self.costs, costs]),
            torch.cat([self.generations, times]),
        )

    def _keep(self, decisions: Tensor, returns: Tensor, costs: Tensor, times: Tensor) -> None:
        kept = non_dominated(returns, costs).nonzero()[:, 0]
        kept = kept[costs[kept].argsort(stable=True)]
        self.decisions, self.returns = decisions[kept].clone(), returns[kept]
        self.costs, self.generations = costs[kept], times[kept]

    def state_dict(self) -> dict[str, Any]:
        """Return the front."""
        return {  # replaced as a whole, never written to
            "decisions": self.decisions,
            "returns": self.returns,
            "costs": self.costs,
            "generations": self.generations,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.decisions, self.returns = state["decisions"], state["returns"]
        self.costs, self.generations = state["costs"], state["generations"]


def checked_values(what: str, values: Any, n: int) -> Tensor:
    """Return one finite float64 number for each structure, or say what came instead."""
    if not isinstance(values, Tensor) or tuple(values.shape) != (n,):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise StructuredLayersError(
            f"{what} must return a tensor of shape ({n},), one number for each structure, got {got}"
        )
    numbers: Tensor = values.detach().double()
    broken = int((~numbers.isfinite()).sum())
    if broken:
        raise StructuredLayersError(
            f"{what} must return finite numbers, got {broken} of {n} that are not"
        )
    return numbers
