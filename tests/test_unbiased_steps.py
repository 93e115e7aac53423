"""The mean of a search's own steps is the exact gradient, whatever it has learned to subtract.

A baseline that saw the fitnesses which it is subtracted from would take a part of the gradient
away: of the mean baseline 1/(2N), of the structure baseline its rate.
"""

import math

import pytest
import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers.algorithms import ES, ESENAS, Coloring, RandomSearch

SPACE = Coloring(num_edges=4, num_colors=3)
EFFECTS = 0.1 * torch.randn(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
NUM_WEIGHTS, CENTER, STDEV = 4, 0.3, 0.3
STEP = 1e-7  # so small that the gradient stays what it is
FOURTH_MOMENT = {"gaussian": 3.0, "orthogonal": 3.0, "hadamard": 1.0}


class Cubic(Problem):
    """Σ x + x³ + 5 over the weights, and the effects of the decisions if there are any."""

    def __init__(self, num_decisions: int = 0) -> None:
        super().__init__(
            "max",
            solution_length=NUM_WEIGHTS + num_decisions,
            initial_bounds=(-1, 1),
            dtype=torch.float64,
        )

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        weights, decisions = batch.values[:, :NUM_WEIGHTS], batch.values[:, NUM_WEIGHTS:].long()
        structure = EFFECTS[torch.arange(decisions.shape[1]), decisions].sum(dim=1)
        batch.set_evals((weights + weights**3).sum(dim=1) + structure + 5)


def make(popsize: int, **options: object) -> ES | ESENAS:
    settings = {
        "popsize": popsize,
        "center_init": torch.full((NUM_WEIGHTS,), CENTER),
        "stdev_init": STDEV,
        "center_learning_rate": STEP,
        "optimizer": "sgd",
        "ranking_method": "raw",
        "num_center_evaluations": 0,
        "seed": 0,
        **options,
    }
    if options.get("baseline") == "structure":
        return ESENAS(Cubic(4), RandomSearch(SPACE, seed=1), **settings)
    return ES(Cubic(), **settings)


def gradients(search: ES | ESENAS, generations: int) -> Tensor:
    """The gradients of the generations after the first twenty, by the steps they made."""
    search.run(20)
    centers = [search.status["center"].clone()]
    for _ in range(generations):
        search.step()
        centers.append(search.status["center"].clone())
    return torch.stack(centers).as_subclass(Tensor).diff(dim=0) / STEP


@pytest.mark.parametrize(
    ("options", "popsize", "generations"),
    [
        ({"estimator": "vanilla", "baseline": "mean"}, 4, 3000),
        ({"estimator": "vanilla", "baseline": "mean", "directions": "hadamard"}, 4, 3000),
        ({"slope": True}, 8, 1000),
        ({"slope": True, "estimator": "forward", "directions": "orthogonal"}, 8, 1000),
        ({"slope": True, "directions": "hadamard"}, 6, 1000),
        ({"baseline": "structure"}, 40, 600),
    ],
    ids=str,
)
def test_the_mean_of_the_steps_is_the_gradient(
    options: dict, popsize: int, generations: int
) -> None:
    """1 + 3θ² + σ²E[ε⁴] in every coordinate, to 4 standard errors that could tell a bias of 8 %."""
    kind = options.get("directions", "gaussian")
    truth = 1 + 3 * CENTER**2 + FOURTH_MOMENT[kind] * STDEV**2
    means = gradients(make(popsize, **options), generations).mean(dim=1)
    error = float(means.std()) / math.sqrt(len(means))
    assert 4 * error < 0.08 * truth
    assert abs(float(means.mean()) - truth) < 4 * error
