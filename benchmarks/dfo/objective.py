"""What every method is given: a problem in one setting, which counts and remembers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .least_squares import LeastSquares
from .settings import evaluate

SIMPLEX_GRADIENTS = 100


def budget_of(dimension: int, simplex_gradients: int = SIMPLEX_GRADIENTS) -> int:
    """Return the evaluations of a run: n + 1, what a simplex gradient costs, times so many."""
    return simplex_gradients * (dimension + 1)


def generator_of(*names: str | int) -> torch.Generator:
    """Return a generator that is seeded by names, the same in every process."""
    return torch.Generator().manual_seed(zlib.crc32("/".join(map(str, names)).encode()))


@dataclass(frozen=True)
class Trace:
    """When a run found better points, and how good they were.

    Args:
        evaluations: 0, then numbers of evaluations, rising.
        values: f(x₀), then what was found, falling.
    """

    evaluations: list[int]
    values: list[float]


class Objective:
    """A problem in one setting, evaluated by several independent runs at once.

    The variables are z, in units of max(1, |x₀|) from the start: x = x₀ + units ∘ z, so z = 0 is
    the start. Every run has its own generator, so that a run does not depend on its neighbours.

    Args:
        problem: of the suite.
        setting: a name among ``SETTINGS``.
        generators: of the noise, one for each run.
    """

    def __init__(
        self, problem: LeastSquares, setting: str, generators: Sequence[torch.Generator]
    ) -> None:
        self.problem, self.setting = problem, setting
        self.num_runs, self.num_evaluations = len(generators), 0
        self._generators = generators
        self._start, self._units = problem.start_point(), problem.units()
        self._scores: list[Tensor] = []

    def __call__(self, displacements: Tensor) -> Tensor:
        """Return what the runs see at z: (runs, k, n) to (runs, k)."""
        runs, k, n = displacements.shape
        points = self._start + self._units * displacements
        seen, scored = evaluate(self.problem, self.setting, points.view(-1, n), self._draw)
        self._scores.append(scored.view(runs, k))
        self.num_evaluations += k
        return seen.view(runs, k)

    def _draw(self, shape: tuple[int, ...]) -> Tensor:
        own = (shape[0] // self.num_runs, *shape[1:])
        return torch.cat(
            [torch.rand(own, generator=g, dtype=torch.float64) for g in self._generators]
        )

    def start_value(self) -> float:
        """Return what x₀ scores, without counting it: every method knows it."""
        draw = generator_of("start")
        _, scored = evaluate(
            self.problem,
            self.setting,
            self._start[None],
            lambda shape: torch.rand(shape, generator=draw, dtype=torch.float64),
        )
        return float(scored)

    def traces(self, budget: int) -> list[Trace]:
        """Return the trace of each run over the first ``budget`` evaluations."""
        start = np.full((self.num_runs, 1), self.start_value())
        scores = torch.cat(self._scores, 1)[:, :budget].numpy() if self._scores else start[:, :0]
        best = np.minimum.accumulate(np.concatenate([start, scores], 1), 1)  # (runs, 1 + budget)
        return [improvements(row) for row in best]


def improvements(best: np.ndarray) -> Trace:
    """Shorten the best values so far, one for each evaluation, to those that differ."""
    places = np.flatnonzero(np.diff(best, prepend=np.inf))
    # 12 digits are more than any test asks for, and half of the file
    return Trace(places.tolist(), [float(f"{value:.12g}") for value in best[places]])
