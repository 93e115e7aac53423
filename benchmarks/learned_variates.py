"""What learned control variates take away of the variance of the gradient's estimate."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from evotorch import Problem
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from structured_layers import ChromaticLinear, Palette, mlp
from structured_layers.algorithms import (
    ES,
    ESENAS,
    Controller,
    FixedPopulation,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
    StructureBaseline,
)
from structured_layers.integrations.evotorch import PolicyProblem

DIMENSION, EVALUATIONS = 64, 32
WARM_UP, MEASURED = 100, 300  # generations


def slope_rows() -> list[dict[str, Any]]:
    """Return the errors of each estimator with and without what it can learn, on a bowl.

    Its curvatures go from 0.1 to 10. The centre descends, so past gradients are right but for what
    has changed since.
    """
    cases = [
        (estimator, directions, {"slope": True})
        for estimator in ("antithetic", "forward")
        for directions in ("gaussian", "orthogonal", "hadamard")
    ]
    rows = [_compare(*case) for case in cases]
    rows.append(_compare("vanilla", "gaussian", {"baseline": "mean"}))
    return rows


def _compare(estimator: str, directions: str, learned: dict[str, Any]) -> dict[str, Any]:
    without, with_it = (_errors(estimator, directions, o) for o in ({}, learned))
    row = {
        "control_variate": next(iter(learned)) if "slope" in learned else "mean baseline",
        "where": f"{estimator}, {directions}, bowl in {DIMENSION} dimensions",
        **ratio_of_means(without, with_it),
    }
    print(row)
    return row


def _errors(estimator: str, directions: str, options: dict[str, Any]) -> Tensor:
    """Return ‖ĝ − ∇J‖² of the measured generations."""
    scales = torch.logspace(-1, 1, DIMENSION)
    problem = Problem(
        "max",
        lambda x: 20 - 0.5 * (scales * x**2).sum(-1),
        solution_length=DIMENSION,
        initial_bounds=(-1, 1),
        vectorized=True,
    )
    # without a baseline the vanilla estimator is thrown out of the bowl by any larger step
    rate = 1e-6 if estimator == "vanilla" else 1e-2
    search = ES(
        problem,
        popsize=EVALUATIONS,
        center_init=torch.ones(DIMENSION),
        stdev_init=0.02,
        center_learning_rate=rate,
        optimizer="sgd",
        ranking_method="raw",
        estimator=estimator,
        directions=directions,
        seed=0,
        **options,
    )
    search.run(WARM_UP)
    errors = []
    for _ in range(MEASURED):
        before = search.status["center"].clone()
        search.step()
        gradient = (search.status["center"] - before) / rate
        errors.append(float(((gradient + scales * before) ** 2).sum()))
    return torch.tensor(errors, dtype=torch.float64)


class RecordingBaseline(StructureBaseline):
    """Keeps the differences of pairs, as they are and less what was expected of them."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        self.raw: list[Tensor] = []
        self.rest: list[Tensor] = []

    def observe(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        residuals = fitnesses - self.predict(len(fitnesses), decisions)
        self.raw.append(fitnesses[0::2] - fitnesses[1::2])
        self.rest.append(residuals[0::2] - residuals[1::2])
        super().observe(decisions, fitnesses)


def structure_rows(generations: int = 60, episode_length: int = 200) -> list[dict[str, Any]]:
    """Return the variance of pairs' differences on Swimmer, by who proposes the colourings."""
    makers: dict[str, Any] = {
        "one fixed colouring": partial(FixedPopulation, population_size=1),
        "20 fixed colourings": partial(FixedPopulation, population_size=20),
        "regularized evolution": partial(RegularizedEvolution, population_size=50),
        "random search": RandomSearch,
    }
    return [
        _structure_row(name, make, generations, episode_length) for name, make in makers.items()
    ]


def _structure_row(name: str, make: Any, generations: int, episode_length: int) -> dict[str, Any]:
    torch.manual_seed(0)
    layer = partial(ChromaticLinear, palette=Palette(8))
    network = mlp(8, [], 2, layer=layer, output_bias=False)
    space = SearchSpace.of(network)
    problem = PolicyProblem(
        "Swimmer-v5",
        network,
        search_space=space,
        observation_normalization=False,
        episode_length=episode_length,
        seed=0,
    )
    controller: Controller = make(space, seed=0)
    baseline = RecordingBaseline(space)
    search = ESENAS(
        problem,
        controller,
        popsize=40,
        center_init=parameters_to_vector(network.parameters()).detach(),
        num_center_evaluations=0,
        baseline=baseline,
        seed=0,
    )
    search.run(generations)
    half = generations // 2  # the first half is for learning
    # pairs of a generation share what the baseline has learned: a generation is one observation
    raw, rest = (
        (torch.stack(kept[half:]).double() ** 2).mean(dim=1)
        for kept in (baseline.raw, baseline.rest)
    )
    row = {
        "control_variate": "structure baseline",
        "where": f"Swimmer-v5, {episode_length} steps, 8 colours, {name}",
        **ratio_of_means(raw, rest),
    }
    print(row)
    return row


def ratio_of_means(without: Tensor, with_it: Tensor) -> dict[str, float]:
    """Return both means, the second over the first, and the ratio's standard error.

    The two are pairs, one of each generation, and depend on each other. To first order the ratio r
    of their means deviates by the mean of (y − r x) over the mean of x.
    """
    ratio = float(with_it.mean() / without.mean())
    deviations = with_it - ratio * without
    error = float(deviations.std() / without.mean()) / math.sqrt(len(without))
    return {
        "without": float(without.mean()),
        "with": float(with_it.mean()),
        "ratio": ratio,
        "ratio_error": error,
    }
