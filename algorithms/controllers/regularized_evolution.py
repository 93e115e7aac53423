"""Regularised evolution: tournaments in a queue from which the oldest member drops out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..argument_checks import check_integer
from ..search_spaces import SearchSpace
from .base import Controller
from .good_structures import distinct_rows


class RegularizedEvolution(Controller):
    """Ageing evolution: mutate the winner of a random tournament, let the oldest member die.

    Proposals are uniform until the queue is full. ``best`` is the best member of the queue, so it
    is never older than the queue.

    Args:
        space: what is decided.
        population_size: n, the length of the queue.
        tournament_size: how many members compete to be a parent; None is the integer part of √n.
        num_mutations: a child differs from its parent by 1 to so many choices, each number equally
            probable; two mutations may undo each other.
        seed: of the controller's own generator; None draws one.

    Reference:
        Real et al., 2018 (arXiv 1802.01548), Algorithm 1, with the settings of ES-ENAS
        (arXiv 2101.07415): uniform initialisation, tournament √n.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population_size: int = 100,
        tournament_size: int | None = None,
        num_mutations: int = 1,
        seed: int | None = None,
    ) -> None:
        """Start with an empty queue and one random structure as the best."""
        super().__init__(space, seed=seed)
        check_integer("population_size", population_size, 2)
        self.population_size = int(population_size)
        if tournament_size is None:
            tournament_size = math.isqrt(population_size)
        check_integer("tournament_size", tournament_size, 1, population_size, ", population_size")
        self.tournament_size = int(tournament_size)
        check_integer("num_mutations", num_mutations, 1)
        self.num_mutations = num_mutations
        self._first = space.sample(1, self.generator)[0]
        self._queue = torch.empty(0, space.num_decisions, dtype=torch.int64)  # oldest first
        self._objectives = torch.empty(0, dtype=torch.float64)

    def propose(self, n: int) -> Tensor:
        """Return n children of tournament winners, or uniform structures at first: (n, K)."""
        check_integer("n", n, 1)
        if len(self._queue) < self.population_size:
            return self.space.sample(n, self.generator)
        return self._mutated(self._queue[self._tournaments(n)])

    def _mutated(self, parents: Tensor) -> Tensor:
        """Return the parents (n, K), each mutated once or more."""
        children = self.space.mutate(parents, self.generator)
        if self.num_mutations == 1:
            return children
        numbers = torch.randint(
            1, self.num_mutations + 1, (len(parents),), generator=self.generator
        )
        for done in range(1, self.num_mutations):
            rows = numbers > done
            children[rows] = self.space.mutate(children[rows], self.generator)
        return children

    def _tournaments(self, n: int) -> Tensor:
        """Return the queue positions (n,) of the winners of n tournaments."""
        lots = torch.rand(n, len(self._queue), generator=self.generator)
        entrants = lots.topk(self.tournament_size, dim=1).indices  # distinct, (n, tournament)
        winners = self._objectives[entrants].argmax(dim=1, keepdim=True)
        return entrants.gather(1, winners)[:, 0]

    def best(self) -> Tensor:
        """Return the member (K,) of the queue with the highest objective."""
        if not len(self._queue):
            return self._first.clone()
        return self._queue[int(self._objectives.argmax())].clone()

    def ranked(self, n: int) -> Tensor:
        """Return up to n different members (m, K) of the queue, by their objectives."""
        order = self._objectives.argsort(descending=True, stable=True)
        return distinct_rows(self._queue[order])[:n]

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        self._queue = torch.cat([self._queue, decisions])[-self.population_size :]
        self._objectives = torch.cat([self._objectives, objectives])[-self.population_size :]

    def _state(self) -> dict[str, Any]:
        return {"first": self._first, "queue": self._queue, "objectives": self._objectives}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._first, self._queue = state["first"], state["queue"]
        self._objectives = state["objectives"]
