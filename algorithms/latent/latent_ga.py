"""The genetic algorithm on latent codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from evotorch import Problem
from torch import nn

from ..argument_checks import Center, check_integer, check_seed
from ..offspring import Crossover
from ..resumable_search import seeded_generator
from .code_values import code_scales, decoders_digest, named_start, values_of
from .genetic_algorithm import GA


class LatentGA(GA):
    """:class:`GA` on the codes of a network's ``LatentLinear`` layers.

    Codes are mutated and crossed, each layer decodes its own for the evaluation. σ is in units of
    the codes, of which an autoencoder's training networks have standard deviation 1 in each
    dimension; what else is trained, biases and dense layers, is mutated by ``dense_scale`` σ.

    Args:
        problem: a ``PolicyProblem`` whose network has latent layers, some or all.
        popsize: candidates per generation; the elite's evaluations come on top.
        num_parents: the candidates that may have children.
        stdev: σ.
        dense_scale: factor on σ of all that is no code.
        num_elite_candidates: how many compete to be the elite.
        num_elite_evaluations: of each of these, a generation.
        crossover: as in :class:`GA`.
        initial: ``"network"`` begins at the problem's network, for example the mean of a zoo;
            ``"normal"`` with ``popsize`` codes from N(0, I); one network or several, encoded, with
            these; an array (d,) or (n, d) with these values.
        seed: of the search's own generator; None draws one from the problem's generator.

    Raises:
        StructuredLayersError: a problem without latent layers.

    Reference:
        Such et al., Deep neuroevolution, 2017 (arXiv 1712.06567).
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        num_parents: int = 20,
        stdev: float = 0.1,
        dense_scale: float = 1.0,
        num_elite_candidates: int = 4,
        num_elite_evaluations: int = 4,
        crossover: str | Crossover | None = None,
        initial: str | Center | nn.Module | Sequence[nn.Module] = "network",
        seed: int | None = None,
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_seed(seed)
        check_integer("popsize", popsize, 2)
        scales = code_scales(problem, dense_scale)
        self._decoders = decoders_digest(problem)
        generator = seeded_generator(problem, seed)
        super().__init__(
            problem,
            popsize=popsize,
            num_parents=num_parents,
            stdev=stdev,
            scales=scales,
            num_elite_candidates=num_elite_candidates,
            num_elite_evaluations=num_elite_evaluations,
            crossover=crossover,
            initial=_founders(problem, initial, popsize, generator),
            seed=int(torch.randint(2**63 - 1, (), generator=generator)),
        )

    def _kind(self) -> dict[str, Any]:
        return {**super()._kind(), "decoders": self._decoders}


def _founders(
    problem: Problem,
    initial: str | Center | nn.Module | Sequence[nn.Module],
    popsize: int,
    generator: torch.Generator,
) -> Center:
    if isinstance(initial, str):
        return named_start(problem, initial, popsize, generator)
    if isinstance(initial, nn.Module):
        return values_of(problem, [initial])
    listed = initial if isinstance(initial, Sequence) else ()
    networks = [one for one in listed if isinstance(one, nn.Module)]
    return values_of(problem, networks) if networks else cast(Center, initial)
