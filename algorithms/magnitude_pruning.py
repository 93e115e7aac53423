"""An evolution strategy that takes the smallest weights away while it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import torch
from evotorch import Problem
from torch import Tensor

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import MaskedLinear

from .argument_checks import Center, center_tensor, check_integer
from .gradient_sensing import SensingOptions
from .search_checks import check_problem
from .search_spaces import EdgeMask
from .weight_search import WeightSearch

BETWEEN = (0.6, 0.9)
"""Where in a training edges begin to go, and where the last one has gone."""


class MagnitudePruning(WeightSearch):
    """Train with all edges, then with fewer and fewer of them: those of the largest weights stay.

    The number of edges falls by the same factor in equal times, so that the others learn to do
    without each. An edge that is gone does not return. All candidates of a generation have the same
    edges, so the search is that for the weights alone, of which there are fewer and fewer: this
    makes it faster, too.

    Args:
        problem: a ``PolicyProblem`` whose search space is an edge mask.
        num_kept: edges that are left in the end.
        progress: returns the share of the training that is over, in [0, 1]; None keeps all edges
            until :meth:`prune` is called.
        between: the progress at which edges begin to go, and that at which ``num_kept`` are left.
        popsize: perturbed candidates per generation.
        center_init: θ at the start, (d,); None is the problem's own network.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``.
        seed: of the search's own generator; None draws one from the problem's generator.
        **options: as in :class:`ES`.

    Raises:
        StructuredLayersError: the problem has no edges to remove, or ``between`` is no interval
            in [0, 1].

    Reference:
        Han et al., 2015 (arXiv 1506.02626), magnitudes; Zhu & Gupta, 2017 (arXiv 1710.01878), a
        little at a time.
    """

    def __init__(
        self,
        problem: Problem,
        num_kept: int,
        *,
        progress: Callable[[], float] | None = None,
        between: tuple[float, float] = BETWEEN,
        popsize: int = 100,
        center_init: Center | None = None,
        num_center_evaluations: int = 0,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search with all edges; nothing is evaluated yet."""
        check_problem(problem)
        space = getattr(problem, "search_space", None)
        if not isinstance(space, EdgeMask):
            raise StructuredLayersError(
                f"edges are removed from a network of MaskedLinear with a search space EdgeMask, "
                f"got a problem with {'none' if space is None else type(space).__name__}"
            )
        check_integer("num_kept", num_kept, 1, space.num_edges, ", the number of edges")
        if not 0 <= between[0] < between[1] <= 1:
            raise StructuredLayersError(f"between must be an interval in [0, 1], got {between}")
        self._final, self._progress, self._between = int(num_kept), progress, between
        self._mask = torch.ones(space.num_edges, dtype=torch.int64)
        network: Any = problem.network
        self._edges = _edge_positions(network)
        length = int(problem.solution_length) - space.num_edges
        if center_init is None:
            center_init = torch.cat([p.detach().flatten() for p in network.parameters()])
        super().__init__(
            problem,
            popsize=popsize,
            center=center_tensor(center_init, length, problem.dtype, ", the parameters"),
            num_center_evaluations=num_center_evaluations,
            baseline=None,
            seed=seed,
            options=options,
        )

    @property
    def num_kept(self) -> int:
        """Edges that are left now."""
        return int(self._mask.sum())

    def prune(self, num_kept: int) -> None:
        """Keep the edges of the largest absolute weights among those that are left.

        Raises:
            StructuredLayersError: fewer than one edge, or more than are left.
        """
        check_integer("num_kept", num_kept, 1, self.num_kept, ", the edges that are left")
        magnitudes = self._weights.center[self._edges].abs()
        left = torch.where(self._mask.bool(), magnitudes, -1.0).topk(num_kept).indices
        self._mask = torch.zeros_like(self._mask).scatter(0, left, 1)

    def _decisions(self) -> Tensor | None:
        return self._mask.repeat(self._popsize, 1)

    def center_decisions(self) -> Tensor | None:
        """Return the mask (T,): one for an edge that is left."""
        return self._mask.clone()

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Remove as many edges as it is time for; the next generation does without them."""
        if self._progress is None:
            return
        first, last = self._between
        share = min(max((self._progress() - first) / (last - first), 0.0), 1.0)
        num_edges = len(self._mask)
        wanted = round(num_edges * (self._final / num_edges) ** share)
        if wanted < self.num_kept:
            self.prune(wanted)

    def _kind(self) -> dict[str, Any]:
        return {**super()._kind(), "controller": "magnitude", "num_kept": self._final}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the edges that are left included."""
        return {**super().state_dict(), "mask": self._mask.clone()}

    def _take_up(self, state: Mapping[str, Any]) -> None:
        super()._take_up(state)
        self._mask = state["mask"].clone()


def _edge_positions(network: Any) -> Tensor:
    """Return where the values of the edges are among the parameters, in topology order: (T,)."""
    starts, start = {}, 0
    for parameter in network.parameters():
        starts[id(parameter)] = start
        start += parameter.numel()
    layers = [m for m in network.modules() if isinstance(m, MaskedLinear)]
    return torch.cat(
        [starts[id(layer.values)] + torch.arange(layer.values.numel()) for layer in layers]
    )
