"""The evolution strategy on latent codes."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor, nn

from ..argument_checks import Center, center_tensor, check_seed
from ..evolution_strategy import ES
from ..gradient_sensing import SensingOptions
from ..perturbation import Perturbation
from ..resumable_search import seeded_generator
from .code_values import code_scales, decoders_digest, named_start, values_of


class LatentES(ES):
    """:class:`ES` on the codes of a network's ``LatentLinear`` layers.

    The search moves u, the candidates are θ = s ⊙ u with a fixed diagonal s: 1 for codes and
    ``dense_scale`` for biases and dense layers. σ and the learning rate are so in units of the
    codes, of which an autoencoder's training networks have standard deviation 1 in each dimension.
    Everything that goes in and out, the start and the centre, is θ.

    Args:
        problem: a ``PolicyProblem`` whose network has latent layers, some or all.
        popsize: perturbed candidates per generation.
        dense_scale: σ and the step of all that is no code, relative to the codes'.
        center_init: ``"network"`` begins at the problem's network, for example the mean of a zoo;
            ``"normal"`` at codes from N(0, I); a network, encoded, or an array (d,) there.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``.
        seed: of the search's own generator; None draws one from the problem's generator.
        **options: as in :class:`ES`.

    Raises:
        StructuredLayersError: a problem without latent layers.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        dense_scale: float = 1.0,
        center_init: str | Center | nn.Module = "network",
        num_center_evaluations: int = 0,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_seed(seed)
        self._scales, self._dense_scale = code_scales(problem, dense_scale), float(dense_scale)
        self._decoders = decoders_digest(problem)
        generator = seeded_generator(problem, seed)
        start = _start(problem, center_init, generator)
        length = int(problem.solution_length)
        super().__init__(
            problem,
            popsize=popsize,
            center_init=center_tensor(start, length, problem.dtype, "") / self._scales,
            num_center_evaluations=num_center_evaluations,
            seed=int(torch.randint(2**63 - 1, (), generator=generator)),
            **options,
        )

    def _ask(self) -> tuple[SolutionBatch, Tensor | None, Tensor | None]:
        """Return candidates, then centres, as θ."""
        batch, _, _ = super()._ask()
        batch.access_values().mul_(self._scales)
        return batch, None, None

    def _described(self) -> Perturbation | None:
        return None  # it would make u of the centre, and the codes are few numbers to send

    def center_solution(self) -> Tensor:
        """Return the centre θ (d,)."""
        return self._scales * super().center_solution()

    def start_at(self, center: Tensor, decisions: Tensor | None = None) -> None:
        """Begin at these values θ (d,).

        Raises:
            StructuredLayersError: the search has begun, or cannot begin there.
        """
        length, dtype = len(self._scales), self._scales.dtype
        values = center_tensor(center, length, dtype, ", the network's trained values")
        super().start_at(values / self._scales, decisions)

    def _get_center(self) -> Tensor:
        return self.center_solution()

    def _kind(self) -> dict[str, Any]:
        own = {"dense_scale": self._dense_scale, "decoders": self._decoders}
        return {**super()._kind(), **own}


def _start(
    problem: Problem, center_init: str | Center | nn.Module, generator: torch.Generator
) -> Center:
    if isinstance(center_init, str):
        return named_start(problem, center_init, 1, generator)[0]
    if isinstance(center_init, nn.Module):
        return values_of(problem, [center_init])[0]
    return center_init
