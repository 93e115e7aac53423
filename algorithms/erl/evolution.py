"""The step from one generation of actors to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_integer
from .layout import Block
from .variation import CROSSOVERS, Mutation, cross, mutate


@dataclass(frozen=True)
class EvolutionSettings:
    """How a population is selected and varied.

    Attributes:
        elite_share: of the population that goes on unchanged, at least one.
        tournament_size: of how many actors, drawn with replacement, the best becomes a parent.
        crossover_share: of the other actors, how many are children of an elite and a parent.
        crossover: ``neurons``, ``uniform``, ``arithmetic`` or ``one_point``.
        mutation: of all but the elites.
    """

    elite_share: float = 0.2
    tournament_size: int = 3
    crossover_share: float = 0.3
    crossover: str = "neurons"
    mutation: Mutation = field(default_factory=Mutation)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.elite_share < 1:
            raise StructuredLayersError(f"elite_share must be in (0, 1), got {self.elite_share!r}")
        if not 0 <= self.crossover_share <= 1:
            raise StructuredLayersError(
                f"crossover_share must be between 0 and 1, got {self.crossover_share!r}"
            )
        check_integer("tournament_size", self.tournament_size, 1)
        object.__setattr__(self, "tournament_size", int(self.tournament_size))  # JSON can hold it
        if self.crossover not in CROSSOVERS:
            raise StructuredLayersError(
                f"crossover must be one of {', '.join(CROSSOVERS)}, got {self.crossover!r}"
            )

    def num_elites(self, population_size: int) -> int:
        """Return how many actors go on unchanged, never all of them."""
        return min(max(1, round(self.elite_share * population_size)), population_size - 1)


class Offspring(NamedTuple):
    """A new generation.

    Attributes:
        weights: (P, d), the elites first, best in front.
        parents: (P,) the row of the old generation that a row comes from; of a child of two, the
            parent that was drawn beside the elite.
        num_elites: how many rows are copies.
    """

    weights: Tensor
    parents: Tensor
    num_elites: int


def next_generation(
    weights: Tensor,
    fitness: Tensor,
    layout: Sequence[Block],
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> Offspring:
    """Return the next generation: elites, children and mutants of tournament winners.

    Args:
        weights: (P, d) with P at least 2.
        fitness: (P,), larger is better; NaN for an actor that failed, which is nobody's parent.
        layout: of the entries of a row.
        settings: of selection and variation.
        generator: of all draws.

    Raises:
        StructuredLayersError: every actor failed.
    """
    fitness = torch.where(fitness.isnan(), -torch.inf, fitness)
    if not (fitness > -torch.inf).any():
        raise StructuredLayersError(
            "every actor of the population failed, so that none can have children; look at what "
            "the environment does with actions within its bounds"
        )
    size = len(weights)
    num_elites = settings.num_elites(size)
    elites = fitness.argsort(descending=True, stable=True)[:num_elites]
    elites = torch.where(fitness[elites] > -torch.inf, elites, elites[0])
    winners = _tournaments(fitness, size - num_elites, settings.tournament_size, generator)
    rows = weights[winners].clone()
    for row in range(len(rows)):
        rows[row] = _varied(rows[row], weights[elites], layout, settings, generator)
    return Offspring(torch.cat([weights[elites], rows]), torch.cat([elites, winners]), num_elites)


def _tournaments(fitness: Tensor, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Return the winners (count,) of tournaments among drawn rows, never one that failed."""
    usable = torch.nonzero(fitness > -torch.inf).flatten()
    drawn = usable[torch.randint(len(usable), (count, size), generator=generator)]
    best = fitness[drawn].argmax(dim=1, keepdim=True)
    return drawn.gather(1, best).flatten()


def _varied(
    vector: Tensor,
    elites: Tensor,
    layout: Sequence[Block],
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> Tensor:
    is_crossed, is_mutated = torch.rand(2, generator=generator).tolist()
    if is_crossed < settings.crossover_share:
        elite = elites[int(torch.randint(len(elites), (), generator=generator))]
        vector = cross(elite, vector, layout, settings.crossover, generator)
    if is_mutated < settings.mutation.probability:
        vector = mutate(vector, layout, settings.mutation, generator)
    return vector
