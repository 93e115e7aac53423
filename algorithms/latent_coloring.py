"""An evolution strategy whose candidates are coloured by weights that nobody deploys."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ChromaticLinear
from structured_layers.layers.nearest import nearest_index

from .argument_checks import Center, center_tensor
from .gradient_sensing import SensingOptions
from .perturbation import Perturbation
from .search_checks import CheckedBatch, check_problem
from .search_spaces import Coloring
from .weight_search import WeightSearch


class LatentColoring(WeightSearch):
    """Search for a colouring as for weights: every edge has a latent one, coloured by the nearest.

    θ = (w, z): the parameters w of a chromatic network, its palette c among them, and a latent
    weight z_e for every edge. A candidate (w, z) + σε is the network of the parameters w + σε_w
    whose edge e has the colour of the entry of c that is nearest to z_e + σε_e. The colours jump,
    but their mean over ε does not, so that the strategy senses how they should change. No gradient
    needs to pass, and no controller is asked.

    Args:
        problem: a ``PolicyProblem`` whose search space is a colouring.
        popsize: perturbed candidates per generation.
        center_init: θ at the start, (d + T,), parameters first; None is the problem's own network:
            its parameters, and the weights of its edges.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``.
        seed: of the search's own generator; None draws one from the problem's generator.
        **options: as in :class:`ES`.

    Raises:
        StructuredLayersError: the problem has no colouring to search for.

    Reference:
        Latent weights: Courbariaux et al., BinaryConnect, 2015 (arXiv 1511.00363), there with
        straight-through gradients in the place of a strategy.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        center_init: Center | None = None,
        num_center_evaluations: int = 0,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem)
        self._space = _coloring(problem)
        network: Any = problem.network
        self._num_parameters = int(problem.solution_length) - self._space.num_edges
        self._palette = _palette_positions(network)
        if center_init is None:
            center_init = torch.cat([flat_parameters(network), edge_weights(network)])
        length = self._num_parameters + self._space.num_edges
        meaning = f": {self._num_parameters} parameters and {self._space.num_edges} edges"
        super().__init__(
            problem,
            popsize=popsize,
            center=center_tensor(center_init, length, problem.dtype, meaning),
            num_center_evaluations=num_center_evaluations,
            baseline=None,
            seed=seed,
            options=options,
        )

    def _colors(self, latent: Tensor) -> Tensor:
        """Return the colours (n, T) of latent weights (n, T): the nearest of the palette."""
        return nearest_index(latent.contiguous(), self._weights.center[self._palette])

    def _decisions(self) -> Tensor | None:
        raise NotImplementedError  # a candidate's colours come with its weights, see _ask

    def center_decisions(self) -> Tensor | None:
        """Return the colours (K,) of the centre."""
        return self._colors(self._weights.center[None, self._num_parameters :])[0]

    def center_solution(self) -> Tensor:
        """Return the centre's parameters followed by its colours: (d + K,)."""
        parameters = self._weights.center[: self._num_parameters]
        colors = self._colors(self._weights.center[self._num_parameters :])
        return torch.cat([parameters, colors.to(parameters)])

    def _ask(self) -> tuple[SolutionBatch, Tensor | None, Tensor | None]:
        """Return candidates, then centres; both are coloured by their latent weights."""
        batch = CheckedBatch(self.problem, self._popsize + self._num_center_evaluations, empty=True)
        values, d = batch.access_values(), self._num_parameters
        latent = torch.empty_like(values)  # as long as a solution: a weight or a colour per edge
        self._weights.ask(self._steps_count, latent[: self._popsize])
        latent[self._popsize :] = self._weights.center
        colors = self._colors(latent[:, d:])
        values[:, :d], values[:, d:] = latent[:, :d], colors
        return batch, colors[: self._popsize], self.center_decisions()

    def _described(self) -> Perturbation | None:
        return None  # actors could not make the colours anew

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """The latent weights have learned with the others."""

    def _kind(self) -> dict[str, Any]:
        return {**super()._kind(), "controller": "latent"}


def _coloring(problem: Problem) -> Coloring:
    space = getattr(problem, "search_space", None)
    if not isinstance(space, Coloring):
        raise StructuredLayersError(
            f"latent weights choose among the colours of a chromatic network, got a problem with "
            f"{'no search space' if space is None else type(space).__name__}"
        )
    return space


def _palette_positions(network: Any) -> Tensor:
    """Return where the palette is among the parameters of a network: (M,)."""
    palettes = [m.values for m in network.modules() if isinstance(m, ChromaticLinear)]
    start = 0
    for parameter in network.parameters():
        if parameter is palettes[0]:
            return torch.arange(start, start + parameter.numel())
        start += parameter.numel()
    raise StructuredLayersError("the palette is no parameter of this network")


def flat_parameters(network: Any) -> Tensor:
    """Return the parameters of a network in one vector, a copy."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def edge_weights(network: Any) -> Tensor:
    """Return the weights of all edges of a network in the order of its topology vector: (T,)."""
    layers = [m for m in network.modules() if isinstance(m, ChromaticLinear)]
    return torch.cat([layer.weight.detach().flatten() for layer in layers])
