"""Problems for tests of the genetic algorithm."""

from collections.abc import Callable
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers.algorithms import GA


def sphere(sense: str = "min", *, size: int = 4, seed: int | None = 0) -> Problem:
    sign = 1 if sense == "min" else -1
    return Problem(
        sense,
        lambda x: sign * (x**2).sum(-1),
        solution_length=size,
        initial_bounds=(-1, 1),
        vectorized=True,
        seed=seed,
    )


def make_search(problem: Problem | None = None, **settings: Any) -> GA:
    given = {"popsize": 12, "num_parents": 4, "stdev": 0.1, "seed": 0, **settings}
    return GA(problem or sphere(), **given)


class Noisy(Problem):
    """The sphere plus noise of its own, so that every evaluation differs; counts evaluations."""

    def __init__(self, noise: float = 0.0, failing: Callable[[Tensor], Tensor] | None = None):
        super().__init__(
            "max", solution_length=3, initial_bounds=(-1, 1), eval_data_length=1, seed=0
        )
        self.noise, self.failing = noise, failing
        self.draws = torch.Generator().manual_seed(0)
        self.batches: list[Tensor] = []

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        values = batch.values.as_subclass(Tensor)
        self.batches.append(values.clone())
        failed = torch.zeros(len(batch), dtype=torch.bool)
        if self.failing is not None:
            failed = self.failing(values)
        noise = self.noise * torch.randn(len(batch), generator=self.draws)
        fitness = torch.where(failed, 1e6, -(values**2).sum(-1) + noise)
        batch.set_evals(fitness, failed.float()[:, None])

    def failed(self, batch: SolutionBatch) -> Tensor:
        failed: Tensor = batch.evals[:, 1].as_subclass(Tensor) > 0
        return failed
