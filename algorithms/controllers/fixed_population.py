"""A population of random structures that never changes: the papers' ablation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_integer
from ..search_spaces import SearchSpace
from .base import Controller
from .good_structures import distinct_rows, row_keys


class FixedPopulation(Controller):
    """Proposes the members of a random population in turn, so that only weights are learned.

    The best member is the one with the highest moving average of its objectives.

    Args:
        space: what is decided.
        population_size: how many structures are drawn; 1 is a single fixed structure.
        decay: of the moving averages, in [0, 1).
        seed: of the controller's own generator; None draws one.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511): 301 random colourings.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population_size: int = 301,
        decay: float = 0.8,
        seed: int | None = None,
    ) -> None:
        """Draw the population."""
        super().__init__(space, seed=seed)
        check_integer("population_size", population_size, 1)
        if not 0 <= decay < 1:
            raise StructuredLayersError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        self._members = space.sample(population_size, self.generator)
        self._scores = torch.full((population_size,), -torch.inf, dtype=torch.float64)
        self._next = 0

    def propose(self, n: int) -> Tensor:
        """Return the next n members, starting over after the last: (n, K)."""
        check_integer("n", n, 1)
        rows = torch.arange(self._next, self._next + n) % len(self._members)
        self._next = (self._next + n) % len(self._members)
        return self._members[rows]

    def best(self) -> Tensor:
        """Return the member (K,) with the highest average objective."""
        return self._members[int(self._scores.argmax())].clone()

    def ranked(self, n: int) -> Tensor:
        """Return up to n different members (m, K) that were tried, by their average objectives."""
        order = self._scores.argsort(descending=True, stable=True)
        tried = order[: int((self._scores > -torch.inf).sum())]
        return distinct_rows(self._members[tried])[:n]

    def hold(self, members: Tensor) -> None:
        """Take these structures (n, K) in the place of the random ones.

        Raises:
            StructuredLayersError: they are no members of the space, or the search has begun.
        """
        self.space.check(members)
        if self.num_updates or not len(members):
            raise StructuredLayersError(
                f"a fixed population is given before its first update, and is not empty; got "
                f"{len(members)} structures after {self.num_updates} updates"
            )
        self._members = self.space.canonical(members)
        self._scores = torch.full((len(members),), -torch.inf, dtype=torch.float64)
        self._next = 0

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(row_keys(self._members)):
            rows.setdefault(key, []).append(row)
        for key, objective in zip(row_keys(decisions), objectives.tolist(), strict=True):
            for row in rows.get(key, ()):
                old = float(self._scores[row])
                seen = old != -torch.inf
                new = self.decay * old + (1 - self.decay) * objective if seen else objective
                self._scores[row] = new

    def _state(self) -> dict[str, Any]:
        return {"members": self._members, "scores": self._scores.clone(), "next": self._next}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._members, self._scores = state["members"], state["scores"].clone()
        self._next = int(state["next"])
