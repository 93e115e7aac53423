"""One structure that is kept, and few changes to it that are tried beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_integer
from ..search_spaces import SearchSpace
from .base import Controller

TRIALS = 8
"""Mutants that are drawn for each one that is proposed, the most promising of them."""


class LocalSearch(Controller):
    """Keeps an incumbent, and changes it where many candidates agree that this is better.

    A share of the proposals is the incumbent itself, the others differ from it by few mutations.
    Two rows in turn hold the same structure, so that the two signs of an antithetic pair share it
    and the mean of both is free of the first order of the perturbation. What a structure reaches
    beyond the incumbent of the same generation is explained by a linear model,

        F(m) − F(incumbent) ≈ Σ effect[e, m_e] over the entries e where m differs,

    a ridge regression with exponential forgetting (its diagonal, one step a generation). Mutants
    whose effects, drawn within their standard errors, promise most are tried; one whose sum lies
    ``threshold`` standard errors above zero becomes the incumbent.

    Args:
        space: what is decided.
        num_mutations: of a mutant; 0 holds the incumbent.
        unmutated_share: of the pairs of a generation that are the incumbent, in (0, 1].
        memory: share of what was observed that still counts a generation later, in (0, 1].
        ridge: observations of no effect that every effect starts with.
        threshold: standard errors of an effect that are needed for a change.
        seed: of the controller's own generator; None draws one.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        num_mutations: int = 1,
        unmutated_share: float = 0.5,
        memory: float = 0.98,
        ridge: float = 1.0,
        threshold: float = 3.0,
        seed: int | None = None,
    ) -> None:
        """Start at a random structure; :meth:`start_at` says another one."""
        super().__init__(space, seed=seed)
        _check(num_mutations, unmutated_share, memory, ridge, threshold)
        self.num_mutations, self.unmutated_share = num_mutations, unmutated_share
        self.memory, self.ridge, self.threshold = memory, ridge, threshold
        self._incumbent = space.sample(1, self.generator)[0]
        self._forget()

    def start_at(self, decisions: Tensor) -> None:
        """Make a structure (K,) the incumbent, and forget what was learned around another."""
        self.space.check(decisions[None])
        self._incumbent = self.space.canonical(decisions[None])[0]
        self._forget()

    def _forget(self) -> None:
        shape = (self.space.num_edges, self.space.num_values)
        self._effects = torch.zeros(shape, dtype=torch.float64)  # of an entry's value
        self._counts = torch.zeros(shape, dtype=torch.float64)  # observations of it
        self._variance = torch.zeros((), dtype=torch.float64)  # of the mean of a pair

    def propose(self, n: int) -> Tensor:
        """Return the incumbent and mutants of it, each twice in turn: (n, K)."""
        check_integer("n", n, 1)
        num_pairs = -(-n // 2)
        rows = self._incumbent.repeat(num_pairs, 1)
        if self.num_mutations:
            first = max(1, round(num_pairs * self.unmutated_share))
            rows[first:] = self._mutants(num_pairs - first)
        return rows.repeat_interleave(2, dim=0)[:n]

    def _mutants(self, n: int) -> Tensor:
        """Return the most promising ones of several mutants each: (n, K)."""
        trials = self._incumbent.repeat(n * TRIALS, 1)
        if not n:
            return trials
        for _ in range(self.num_mutations):
            trials = self.space.mutate(trials, self.generator)
        noise = torch.randn(self._effects.shape, generator=self.generator, dtype=torch.float64)
        draws = self._effects + noise * self._standard_errors()
        promises = self._sums(draws, trials).view(n, TRIALS)
        return trials.view(n, TRIALS, -1)[torch.arange(n), promises.argmax(dim=1)]

    def _standard_errors(self) -> Tensor:
        return (self._variance / (self._counts + self.ridge)).sqrt()

    def _sums(self, table: Tensor, decisions: Tensor) -> Tensor:
        """Return the sums of a table's (T, V) entries over what differs from the incumbent."""
        topologies = self.space.decode(decisions)  # (n, T)
        entries = table[torch.arange(len(table)), self._columns(topologies)]
        return (entries * self._differs(topologies)).sum(dim=1)

    def _differs(self, topologies: Tensor) -> Tensor:
        return topologies != self.space.decode(self._incumbent[None])

    def _columns(self, topologies: Tensor) -> Tensor:
        """Return the columns of values: -1, an edge that is left out, is the last one."""
        return topologies % self.space.num_values

    def best(self) -> Tensor:
        """Return the incumbent (K,)."""
        return self._incumbent.clone()

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        if not self.num_mutations:
            return
        is_incumbent = (decisions == self._incumbent).all(dim=1)
        if not bool(is_incumbent.any()):
            return  # nothing to compare with
        means = _pair_means(objectives[is_incumbent])
        if len(means) > 1:
            self._learn_variance(means.var())
        mutants, which = torch.unique(decisions[~is_incumbent], dim=0, return_inverse=True)
        if not len(mutants):
            return
        counts = torch.bincount(which, minlength=len(mutants)).double()
        sums = torch.zeros(len(mutants), dtype=torch.float64)
        sums.index_add_(0, which, objectives[~is_incumbent])
        self._learn(mutants, sums / counts - means.mean(), counts / 2)
        self._accept(mutants)

    def _learn_variance(self, new: Tensor) -> None:
        old = self._variance if bool(self._variance > 0) else new
        self._variance = self.memory * old + (1 - self.memory) * new

    def _learn(self, mutants: Tensor, gains: Tensor, weights: Tensor) -> None:
        """Move the effects along the errors of what they foretold, each mutant's among its changes.

        Args:
            mutants: (m, K).
            gains: over the incumbent, (m,).
            weights: pairs of each, (m,).
        """
        errors = gains - self._sums(self._effects, mutants)
        topologies = self.space.decode(mutants)
        differs = self._differs(topologies)
        row, edge = differs.nonzero(as_tuple=True)
        place = (edge, self._columns(topologies)[row, edge])
        self._counts *= self.memory
        self._counts.index_put_(place, weights[row], accumulate=True)
        share = errors / differs.sum(dim=1).clamp(min=1)
        pulls = torch.zeros_like(self._effects)
        pulls.index_put_(place, (weights * share)[row], accumulate=True)
        self._effects += pulls / (self._counts + self.ridge)

    def _accept(self, mutants: Tensor) -> None:
        """Make the mutant with the surest gain the incumbent, if one is sure enough."""
        gains = self._sums(self._effects, mutants)
        errors = self._sums(self._standard_errors() ** 2, mutants).sqrt()
        surest = int((gains - self.threshold * errors).argmax())
        if float(gains[surest]) <= self.threshold * float(errors[surest]):
            return
        topologies = self.space.decode(mutants[surest][None])
        edges = self._differs(topologies)[0].nonzero()[:, 0]
        taken = self._effects[edges, self._columns(topologies)[0, edges]]
        old = self._columns(self.space.decode(self._incumbent[None]))[0, edges]
        self._effects[edges] -= taken[:, None]  # effects are over the new incumbent from here on
        self._effects[edges, old] = -taken
        self._counts[edges, old] = self._counts[edges, self._columns(topologies)[0, edges]]
        self._incumbent = mutants[surest].clone()

    def _state(self) -> dict[str, Any]:
        return {
            "incumbent": self._incumbent,
            "effects": self._effects.clone(),
            "counts": self._counts.clone(),
            "variance": self._variance.clone(),
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._incumbent = state["incumbent"].clone()
        self._effects, self._counts = state["effects"].clone(), state["counts"].clone()
        self._variance = state["variance"].clone()


def _pair_means(objectives: Tensor) -> Tensor:
    """Return the means of two in turn; a last one without its pair is left out if it can be."""
    if len(objectives) < 2:
        return objectives
    return objectives[: len(objectives) // 2 * 2].view(-1, 2).mean(dim=1)


def _check(
    num_mutations: int, unmutated_share: float, memory: float, ridge: float, threshold: float
) -> None:
    check_integer("num_mutations", num_mutations, 0)
    for name, share in (("unmutated_share", unmutated_share), ("memory", memory)):
        if not 0 < share <= 1:
            raise StructuredLayersError(f"{name} must lie in (0, 1], got {share}")
    for name, value in (("ridge", ridge), ("threshold", threshold)):
        if not 0 < value < float("inf"):
            raise StructuredLayersError(f"{name} must be a positive number, got {value}")
