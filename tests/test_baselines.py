"""Learned control variates: the variance that they take away, by its own standard error."""

import math

import pytest
import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms import (
    ES,
    ESENAS,
    Coloring,
    EdgeSubset,
    FixedPopulation,
    MeanBaseline,
    RandomSearch,
    StructureBaseline,
)
from structured_layers.algorithms.baselines import SlopeVariate

SPACE = Coloring(num_edges=12, num_colors=4)
EFFECTS = torch.randn(12, 4, generator=torch.Generator().manual_seed(5))
NUM_WEIGHTS = 6


class Landscape(Problem):
    """A slope in the weights, and a large effect of the structure."""

    def __init__(self) -> None:
        super().__init__("max", solution_length=NUM_WEIGHTS + 12, initial_bounds=(-1, 1))
        self.search_space = SPACE

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        weights, decisions = batch.values[:, :NUM_WEIGHTS], batch.values[:, NUM_WEIGHTS:].long()
        structure = EFFECTS[torch.arange(12), decisions].sum(dim=1)
        batch.set_evals(weights.sum(dim=1) + structure + 10)


def gradients(search: ES | ESENAS, generations: int) -> Tensor:
    """The gradients that the last generations followed, by the steps they made."""
    rows = []
    for _ in range(generations):
        before = search.status["center"].clone()
        search.step()
        rows.append((search.status["center"] - before) / 1e-4)
    return torch.stack(rows).double()


def variance(rows: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean squared error and its standard error."""
    errors = ((rows - truth) ** 2).sum(dim=1)
    return float(errors.mean()), float(errors.std()) / math.sqrt(len(errors))


def enas(baseline: str | None, estimator: str) -> ESENAS:
    return ESENAS(
        Landscape(),
        RandomSearch(SPACE, seed=1),
        popsize=20,
        center_init=torch.zeros(NUM_WEIGHTS),
        stdev_init=0.1,
        center_learning_rate=1e-4,
        optimizer="sgd",
        ranking_method="raw",
        estimator=estimator,
        baseline=baseline,
        seed=0,
    )


@pytest.mark.parametrize("estimator", ["antithetic", "forward"])
def test_a_structure_baseline_takes_the_noise_of_the_structure_away(estimator: str) -> None:
    truth = torch.ones(NUM_WEIGHTS, dtype=torch.float64)
    results = {}
    for baseline in (None, "structure"):
        search = enas(baseline, estimator)
        search.run(60)
        rows = gradients(search, 200)
        results[baseline] = variance(rows, truth)
        error = rows.std(dim=0) / math.sqrt(len(rows))
        assert ((rows.mean(dim=0) - truth).abs() < 4.5 * error).all()  # unbiased with both
    (without, without_error), (learned, learned_error) = results[None], results["structure"]
    assert learned + 4 * learned_error < 0.1 * (without - 4 * without_error)


def test_effects_are_learned_up_to_what_no_structure_can_tell() -> None:
    baseline, generator = StructureBaseline(SPACE, rate=0.3), torch.Generator().manual_seed(0)
    for _ in range(200):
        decisions = SPACE.sample(20, generator)
        baseline.observe(decisions, EFFECTS[torch.arange(12), decisions].sum(dim=1) + 7)
    decisions = SPACE.sample(100, generator)
    truth = EFFECTS[torch.arange(12), decisions].sum(dim=1).double()
    predicted = baseline.predict(100, decisions)
    assert torch.corrcoef(torch.stack([truth, predicted]))[0, 1] > 0.99
    left = (truth - predicted) - (truth - predicted).mean()
    assert left.std() < 0.1 * truth.std()


def test_a_structure_baseline_works_on_edge_sets_and_repeated_structures() -> None:
    space = EdgeSubset(num_edges=9, num_kept=4)
    controller, baseline = (
        FixedPopulation(space, population_size=5, seed=0),
        StructureBaseline(space),
    )
    values = {}
    for _ in range(400):
        decisions = controller.propose(5)
        fitnesses = (decisions**2).sum(dim=1).double()
        for row, fitness in zip(decisions, fitnesses, strict=True):
            values[tuple(row.tolist())] = float(fitness)
        baseline.observe(decisions, fitnesses)
    truth = torch.tensor([values[tuple(row.tolist())] for row in decisions])
    assert (baseline.predict(5, decisions) - truth).abs().max() < 0.05 * truth.std()


def linear_problem() -> Problem:
    return Problem(
        "max", lambda x: x.sum(-1) + 50, solution_length=8, initial_bounds=(-1, 1), vectorized=True
    )


def sensing(**options: object) -> ES:
    defaults: dict[str, object] = {
        "popsize": 10,
        "center_init": torch.zeros(8),
        "center_learning_rate": 1e-4,
        "optimizer": "sgd",
        "ranking_method": "raw",
        "seed": 0,
    }
    return ES(linear_problem(), **{**defaults, **options})


def test_a_mean_baseline_is_what_the_vanilla_estimator_lacks() -> None:
    truth = torch.ones(8, dtype=torch.float64)
    results = {}
    for baseline in (None, "mean"):
        search = sensing(estimator="vanilla", baseline=baseline)
        search.run(10)
        results[baseline] = variance(gradients(search, 200), truth)
    (without, without_error), (learned, learned_error) = results[None], results["mean"]
    assert learned + 4 * learned_error < 1e-3 * (without - 4 * without_error)


@pytest.mark.parametrize("estimator", ["antithetic", "forward"])
def test_a_slope_takes_away_what_past_gradients_foretell(estimator: str) -> None:
    truth = torch.ones(8, dtype=torch.float64)
    results = {}
    for slope in (False, True):
        search = sensing(estimator=estimator, slope=slope)
        search.run(60)
        rows = gradients(search, 200)
        results[slope] = variance(rows, truth)
    (without, without_error), (learned, learned_error) = results[False], results[True]
    assert learned + 4 * learned_error < 0.3 * (without - 4 * without_error)


def test_a_slope_that_foretells_nothing_is_not_followed() -> None:
    variate, generator = SlopeVariate(50), torch.Generator().manual_seed(0)
    lengths = []
    for _ in range(400):
        lengths.append(float(variate.slope().norm()))
        variate.observe(torch.randn(50, generator=generator))
    typical = math.sqrt(50 * 0.1 / 1.9)  # of the average itself
    assert sum(lengths[100:]) / 300 < 0.25 * typical


@pytest.mark.parametrize(("seen", "factor"), [([1.0, 2.0], 1.0), ([1.0, -2.0], 0.0)])
def test_a_slope_is_at_most_the_average_and_never_against_it(
    seen: list[float], factor: float
) -> None:
    """Gradients that grew, or turned round, would have been foretold best by 20 or -20 averages."""
    variate, average = SlopeVariate(3), torch.zeros(3, dtype=torch.float64)
    for value in seen:
        variate.observe(torch.full((3,), value))
        average = 0.9 * average + 0.1 * value
    torch.testing.assert_close(variate.slope(), factor * average)


def test_the_mean_is_of_what_the_structures_effects_leave() -> None:
    """Only good structures come for long, then only bad ones: the mean must not follow them."""
    baseline, generator = StructureBaseline(SPACE, rate=0.3), torch.Generator().manual_seed(0)

    def truth(decisions: Tensor) -> Tensor:
        return EFFECTS[torch.arange(12), decisions].sum(dim=1).double() + 7

    for _ in range(300):
        decisions = SPACE.sample(20, generator)
        baseline.observe(decisions, truth(decisions))
    good = EFFECTS.argmax(dim=1).expand(20, -1)
    baseline.observe(good, truth(good))
    decisions = SPACE.sample(100, generator)
    error = (baseline.predict(100, decisions) - truth(decisions)).mean()
    assert abs(float(error)) < 0.1 * float(truth(good)[0] - truth(decisions).mean())


@pytest.mark.parametrize(
    "make", [MeanBaseline, lambda: StructureBaseline(SPACE)], ids=["mean", "structure"]
)
def test_a_baseline_goes_on_from_its_state(make) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = make(), make()
    for _ in range(3):
        first.observe(SPACE.sample(4, generator), torch.randn(4, generator=generator))
    state = first.state_dict()
    second.load_state_dict(state)
    decisions = SPACE.sample(4, generator)
    expected = first.predict(4, decisions)
    assert torch.equal(second.predict(4, decisions), expected)
    first.observe(decisions, torch.ones(4))
    second.load_state_dict(state)  # a snapshot: the first one's step did not change it
    assert torch.equal(second.predict(4, decisions), expected)
    assert not torch.equal(first.predict(4, decisions), expected)


def test_a_baseline_of_ones_own_is_asked_and_told() -> None:
    class Recorder(MeanBaseline):
        told: list[Tensor] = []

        def observe(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
            self.told.append(fitnesses)
            super().observe(decisions, fitnesses)

    search = sensing(baseline=Recorder())
    search.run(3)
    assert len(Recorder.told) == 3
    assert torch.equal(Recorder.told[-1], search.population.evals[:, 0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanBaseline(1.0), r"momentum must lie in \[0, 1\), got 1.0"),
        (lambda: StructureBaseline(SPACE, rate=0.0), r"rate must lie in \(0, 1\], got 0.0"),
        (lambda: SlopeVariate(3, momentum=-0.1), "momentum must lie in"),
        (lambda: sensing(baseline="structure"), "baseline must be 'mean'.*ESENAS"),
        (lambda: enas("mean", "antithetic"), "baseline must be 'structure'.*got 'mean'"),
        (lambda: StructureBaseline(SPACE).predict(3, None), "use it in ESENAS"),
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make()
