"""Individuals as the seeds that they were born with, and the weights that follow from them.

An individual is a founder, or a child: its parents, a seed and the mutation's σ. Its weights are

    founder + Σ_i σ_i s ⊙ ε(seed_i),   ε(seed) ~ N(0, I),

added in the order of the births, so that whoever holds the founder makes the same bits. Where
parents are crossed, an individual's ancestors are a graph instead of a line; it is kept whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..offspring import Birth, Crossover, Offspring, child_of

NUM_SAMPLES = 16
"""Entries of each individual's weights that a state holds, to tell whether they come back."""


@dataclass(frozen=True, eq=False)
class Individual:
    """One candidate of a genetic algorithm, without its weights.

    Attributes:
        parents: one that was mutated, two that were crossed, none of a founder.
        seed: of the crossover and the mutation; of a founder its number.
        stdev: σ of the mutation.
    """

    parents: tuple[Individual, ...]
    seed: int
    stdev: float = 0.0


class Lineages:
    """Weights of individuals, rebuilt from their ancestors' seeds.

    The weights of those that may become parents are remembered, so that a child costs one draw.

    Args:
        founders: (n, d), what founders are.
        scales: s, (d,), factors on the mutation's standard deviation.
        crossover: of two parents.
    """

    def __init__(self, founders: Tensor, scales: Tensor, crossover: Crossover | None) -> None:
        """Remember nobody yet."""
        self.founders, self._scales, self._crossover = founders, scales, crossover
        self._known: dict[Individual, Tensor] = {}

    def weights(self, individual: Individual) -> Tensor:
        """Return the weights (d,) of an individual, not to be changed in place."""
        return self._build([individual])[individual]

    def remember(self, individuals: Sequence[Individual]) -> None:
        """Keep the weights of these individuals and of no others."""
        self._known = self._build(individuals)

    def _build(self, individuals: Sequence[Individual]) -> dict[Individual, Tensor]:
        missing = _ancestors(individuals, self._known)
        uses = Counter(individuals)  # an ancestor is needed until its last child is built
        uses.update(parent for one in missing for parent in one.parents)
        built = {one: self._known[one] for one in individuals if one in self._known}
        for one in missing:
            parents = [built[p] if p in built else self._known[p] for p in one.parents]
            built[one] = self._born(one, parents)
            for parent in one.parents:
                uses[parent] -= 1
                if not uses[parent]:
                    built.pop(parent, None)
        return built

    def _born(self, individual: Individual, parents: Sequence[Tensor]) -> Tensor:
        if not parents:
            return self.founders[individual.seed]
        birth = Birth((), individual.seed, individual.stdev)
        return child_of(parents, birth, self._scales, self._crossover)

    def describe(self, individuals: Sequence[Individual]) -> Offspring:
        """Return individuals as their parents' weights and the seeds of their births.

        Those whose weights are remembered, and founders, stand for themselves.
        """
        rows: dict[Individual, int] = {}
        births = []
        for one in individuals:
            is_itself = one in self._known or not one.parents
            sources = (one,) if is_itself else one.parents
            numbers = tuple(rows.setdefault(source, len(rows)) for source in sources)
            births.append(Birth(numbers) if is_itself else Birth(numbers, one.seed, one.stdev))
        center = torch.stack([self._scales, *(self.weights(source) for source in rows)])
        return Offspring(center, tuple(births), self._crossover)

    def state_dict(self, individuals: Sequence[Individual]) -> dict[str, Any]:
        """Return individuals with all their ancestors, and the founders among these.

        Returns:
            ``births`` (n, 4): the numbers of both parents, −1 for none, the seed, and whether it is
            one of the individuals (its place among them, else −1); ``stdevs`` (n,); ``founders``;
            ``samples``, a few entries of the individuals' weights.
        """
        members = _ancestors(individuals, {})
        numbers = {one: number for number, one in enumerate(members)}
        places = {one: place for place, one in enumerate(individuals)}
        used = sorted({one.seed for one in members if not one.parents})
        births = [
            (
                *([numbers[p] for p in one.parents] + [-1, -1])[:2],
                one.seed if one.parents else used.index(one.seed),
                places.get(one, -1),
            )
            for one in members
        ]
        return {
            "births": torch.tensor(births, dtype=torch.int64).reshape(-1, 4),
            "stdevs": torch.tensor([one.stdev for one in members], dtype=torch.float64),
            "founders": self.founders[used].clone(),
            "samples": self._samples(individuals),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> list[Individual]:
        """Take up what :meth:`state_dict` returned, and return the individuals it was given.

        Raises:
            StructuredLayersError: the seeds give other weights than when they were saved.
        """
        founders = state["founders"].to(self.founders.dtype)
        if founders.ndim != 2 or founders.shape[1] != self.founders.shape[1]:
            raise ValueError(f"founders of shape {tuple(founders.shape)}")
        members: list[Individual] = []
        chosen: dict[int, Individual] = {}
        stdevs = state["stdevs"].tolist()
        for birth, stdev in zip(state["births"].tolist(), stdevs, strict=True):
            first, second, seed, place = map(int, birth)
            if max(first, second) >= len(members) or (first < 0 and not 0 <= seed < len(founders)):
                raise ValueError("an individual is listed before its parents")
            parents = tuple(members[number] for number in (first, second) if number >= 0)
            members.append(Individual(parents, seed, stdev))
            if place >= 0:
                chosen[place] = members[-1]
        individuals = [chosen[place] for place in range(len(chosen))]
        self.founders, self._known = founders.clone(), {}
        self.remember(individuals)
        self._check_samples(individuals, state["samples"])
        return individuals

    def _samples(self, individuals: Sequence[Individual]) -> Tensor:
        """Return entries (n, k) of the individuals' weights, evenly spaced."""
        length = self.founders.shape[1]
        places = torch.linspace(0, length - 1, min(length, NUM_SAMPLES)).round().long()
        return torch.stack([self.weights(one)[places] for one in individuals])

    def _check_samples(self, individuals: Sequence[Individual], saved: Tensor) -> None:
        """Raise unless they are what was saved, but for the roundings of another machine."""
        found = self._samples(individuals).double()
        saved = saved.double()
        if found.shape != saved.shape or (found - saved).abs().max() > 1e-4 * saved.abs().max():
            raise StructuredLayersError(
                "the seeds of this state give other weights than those of the search that was "
                "saved; make the search with the same crossover function"
            )


def _ancestors(
    individuals: Sequence[Individual], known: Mapping[Individual, Tensor]
) -> list[Individual]:
    """Return individuals and all their ancestors but known ones and those before, parents first."""
    order: dict[Individual, None] = {}
    stack = list(reversed(individuals))
    while stack:  # a line of ancestors may be longer than Python's stack
        one = stack[-1]
        waiting = [p for p in one.parents if p not in order and p not in known]
        if one in order or one in known or not waiting:
            stack.pop()
            if one not in known:
                order.setdefault(one)
        else:
            stack.extend(waiting)
    return list(order)
