"""What a controller is told instead of the return: objectives that know what a structure costs.

An objective is any function of the decisions (n, K) and the returns (n,) to what the controller
observes (n,), higher being better. The weights always follow the return.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .deployed_costs import EdgeCount
from .pareto import Cost, checked_values
from .search_spaces import ProductSpace, SearchSpace

FAR_BELOW = 1e12
"""Less than the negative of this is no return."""

Objective = Callable[[Tensor, Tensor], Tensor]
"""Decisions (n, K) and returns (n,) → what the controller observes (n,)."""


class TargetEdges:
    """f · (|E_m| / |E_T|)^ω: the return, less where a structure has more edges than aimed at.

    ω is −1 above the target and 0 below, so that fewer edges than that bring nothing. Other
    exponents make it softer. The product means what it should only for a positive f: where f is
    negative, more edges would raise it. ``shift`` is added to f first.

    Args:
        space: of structures with different numbers of edges.
        target: |E_T|.
        exponents: ω below the target and above it.
        shift: added to the returns; 1000 in the code that the authors released.

    Examples:
        >>> from structured_layers.algorithms import EdgeMask
        >>> objective = TargetEdges(EdgeMask(4), target=2)
        >>> masks = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
        >>> objective(masks, torch.tensor([100.0, 100.0, 100.0]))
        tensor([100., 100.,  50.], dtype=torch.float64)

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415); Tan et al., MnasNet, 2018 (arXiv 1807.11626).
    """

    def __init__(
        self,
        space: SearchSpace,
        target: int,
        *,
        exponents: tuple[float, float] = (0.0, -1.0),
        shift: float = 0.0,
    ) -> None:
        """Check that there is something to aim at."""
        self._count = EdgeCount(space)
        if self._count.constant is not None:
            raise StructuredLayersError(
                f"a target goes with structures of different numbers of edges, and all of this "
                f"{type(space).__name__} have {self._count.constant}; take an EdgeMask"
            )
        check_target(target, exponents, shift)
        most = most_edges(space)
        if target > most - (exponents[0] == 0):  # below which the objective is the return
            raise StructuredLayersError(
                f"target_edges must be less than all {most} edges that there are, or every "
                f"structure keeps within it, got {target}"
            )
        self.target, self.exponents, self.shift = target, exponents, shift

    def __call__(self, decisions: Tensor, returns: Tensor) -> Tensor:
        """Return the objective of each structure: (n,)."""
        # an empty network counts as one edge, since its ratio has no negative power
        ratio = self._count(decisions).clamp(min=1) / self.target
        below, above = self.exponents
        exponent = torch.where(ratio > 1, above, below).double()
        return (returns.double() + self.shift) * ratio**exponent


def most_edges(space: SearchSpace) -> int:
    """Return how many edges the structure of a space has that has most of them."""
    factors = space.factors if isinstance(space, ProductSpace) else (space,)
    counts = [EdgeCount(factor).constant for factor in factors]
    pairs = zip(factors, counts, strict=True)
    return sum(factor.num_edges if count is None else count for factor, count in pairs)


def check_target(target: int, exponents: tuple[float, ...], shift: float) -> None:
    """Raise StructuredLayersError unless they make a multi-objective of return and edges."""
    if isinstance(target, bool) or not isinstance(target, int) or target < 1:
        raise StructuredLayersError(
            f"target_edges must be an integer of at least 1, since the objective divides by it, "
            f"got {target!r}"
        )
    if len(exponents) != 2 or not all(map(math.isfinite, exponents)):
        raise StructuredLayersError(
            f"target_exponents are two finite numbers, below the target and above it, got "
            f"{list(exponents)}"
        )
    below, above = exponents
    if below < above or above > 0:
        raise StructuredLayersError(
            f"target_exponents must not reward edges beyond the target: the one above it is at "
            f"most 0 and not greater than the one below, got {below} below and {above} above"
        )
    if below == above == 0:
        raise StructuredLayersError(
            "target_exponents 0 0 leave the return as it is; take a negative one above the target"
        )
    if not math.isfinite(shift):
        raise StructuredLayersError(f"objective_shift must be finite, got {shift}")


@dataclass(frozen=True)
class Penalty:
    """f − λ·cost.

    Args:
        cost: of structures, for example
            :class:`~structured_layers.algorithms.deployed_costs.BitCount`.
        weight: λ, returns that one unit of the cost is worth.
    """

    cost: Cost
    weight: float

    def __post_init__(self) -> None:
        """Check the weight."""
        if not 0 < self.weight < math.inf:
            raise StructuredLayersError(
                f"the weight of a cost must be a positive, finite number, got {self.weight}"
            )

    def __call__(self, decisions: Tensor, returns: Tensor) -> Tensor:
        """Return the objective of each structure: (n,)."""
        costs = checked_values("a cost", self.cost(decisions), len(decisions))
        return returns.double() - self.weight * costs


class Limit:
    """f where the cost keeps within a limit; what does not, comes after all that did so far.

    A structure beyond the limit gets the lowest return that was ever seen less the share by which
    it exceeds the limit, times the spread of all returns that were seen: within a generation the
    cheaper one is better, whatever it returns. Returns that fall later lower what is given from
    then on, not what was given before.

    Args:
        cost: of structures.
        at_most: the limit, positive.

    Reference:
        Deb, An efficient constraint handling method for genetic algorithms, 2000.
    """

    def __init__(self, cost: Cost, at_most: float) -> None:
        """Check the limit; no return was seen yet."""
        if not 0 < at_most < math.inf:
            raise StructuredLayersError(
                f"the limit of a cost must be a positive, finite number, got {at_most}"
            )
        self.cost, self.at_most = cost, at_most
        self._lowest, self._highest = math.inf, -math.inf  # of all returns

    def __call__(self, decisions: Tensor, returns: Tensor) -> Tensor:
        """Return the objective of each structure: (n,)."""
        returns, excess = returns.double(), self._excess(decisions)
        self._lowest = min(self._lowest, float(returns.min()))
        self._highest = max(self._highest, float(returns.max()))
        spread = max(self._highest - self._lowest, 1.0)
        return torch.where(excess > 0, self._lowest - excess * spread, returns)

    def alone(self, decisions: Tensor, returns: Tensor) -> Tensor:
        """Return the objective (n,) of structures that are compared with earlier and later ones."""
        excess = self._excess(decisions)
        return torch.where(excess > 0, -FAR_BELOW * (1 + excess), returns.double())

    def _excess(self, decisions: Tensor) -> Tensor:
        """Return the share by which each structure exceeds the limit: (n,), 0 within it."""
        costs = checked_values("a cost", self.cost(decisions), len(decisions))
        return (costs / self.at_most - 1).clamp(min=0)

    def state_dict(self) -> dict[str, Any]:
        """Return what later objectives depend on: the lowest and the highest return so far."""
        return {"returns": torch.tensor([self._lowest, self._highest], dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._lowest, self._highest = state["returns"].tolist()
