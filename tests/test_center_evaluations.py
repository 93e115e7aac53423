"""Evaluations of the centre: their mean is F(θ), and they change nothing else."""

import pytest
import torch
from evotorch import Problem, SolutionBatch

from structured_layers import ChromaticLinear, Palette, mlp
from structured_layers.algorithms import ARS, ES, ESENAS, RandomSearch, SearchSpace
from structured_layers.integrations.evotorch import PolicyProblem


class NoisyAtTheCentre(Problem):
    """A slope; every evaluation at zero itself differs."""

    def __init__(self) -> None:
        super().__init__("max", solution_length=3, initial_bounds=(-1, 1), dtype=torch.float64)

    def _evaluate_batch(self, batch: SolutionBatch) -> None:
        at_zero = (batch.values == 0).all(dim=1)
        noise = torch.arange(len(batch), dtype=torch.float64) ** 2
        batch.set_evals(batch.values.sum(dim=1) + at_zero * noise)


def test_the_forward_difference_compares_with_their_mean() -> None:
    search = ES(
        NoisyAtTheCentre(),
        popsize=5,
        center_init=torch.zeros(3),
        num_center_evaluations=3,
        estimator="forward",
        optimizer="sgd",
        ranking_method="raw",
        center_learning_rate=0.5,
        seed=0,
    )
    search.step()
    values = search.population.evals[:, 0] - (5**2 + 6**2 + 7**2) / 3
    noise = search.population.values / 0.1
    gradient = (values[:, None] * noise).sum(dim=0) / (5 * 0.1)
    torch.testing.assert_close(search.status["center"], 0.5 * gradient)


def swimmer(**options: object) -> PolicyProblem:
    network = mlp(8, [], 2, output_bias=False)
    return PolicyProblem("Swimmer-v5", network, episode_length=30, seed=0, **options)


@pytest.mark.parametrize("variant", ["V2", "V2-t"])
def test_they_do_not_enter_the_statistics_of_observations(variant: str) -> None:
    """Algorithm 2 of ARS knows of no evaluations of the centre."""
    searches = []
    for num_center in (0, 3):
        problem = swimmer()
        search = ARS(problem, variant, num_directions=2, num_center_evaluations=num_center, seed=0)
        search.run(3)
        assert problem.normalizer.count == 3 * 4 * 30
        assert problem.env_steps == 3 * (4 + num_center) * 30
        searches.append(search)
    alone, with_center = searches
    assert torch.equal(alone.status["center"], with_center.status["center"])
    assert torch.equal(alone.population.evals, with_center.population.evals)
    for name in ("sum", "sum_of_squares"):
        one, other = (getattr(search.problem.normalizer, name) for search in searches)
        assert (one == other).all()


@pytest.mark.parametrize("optimizer", ["adam", "cmaes"])
def test_nor_do_they_with_other_optimizers(optimizer: str) -> None:
    centers = []
    for num_center in (0, 2):
        problem = swimmer()
        search = ES(
            problem, popsize=4, optimizer=optimizer, center_init=torch.zeros(16),
            num_center_evaluations=num_center, seed=0,
        )  # fmt: skip
        search.run(3)
        centers.append(search.status["center"])
        assert problem.normalizer.count == 3 * 4 * 30
    assert torch.equal(*centers)


def test_nor_do_they_beside_a_search_for_structures() -> None:
    torch.manual_seed(0)
    network = mlp(8, [], 2, layer=lambda i, o, **k: ChromaticLinear(i, o, palette=Palette(3), **k))
    space = SearchSpace.of(network)
    counts, centers = [], []
    for num_center in (0, 2):
        problem = PolicyProblem(
            "Swimmer-v5", network, search_space=space, episode_length=30, seed=0
        )
        search = ESENAS(
            problem, RandomSearch(space, seed=1), popsize=4,
            center_init=torch.zeros(problem.num_parameters),
            num_center_evaluations=num_center, seed=0,
        )  # fmt: skip
        search.run(2)
        counts.append(problem.normalizer.count)
        centers.append(search.status["center"])
    assert counts == [2 * 4 * 30] * 2
    assert torch.equal(*centers)


@pytest.mark.xdist_group("ray")
def test_nor_do_they_with_actors(ray_session) -> None:
    problems = [swimmer(num_actors=num_actors) for num_actors in (0, 2)]
    for problem in problems:
        ARS(problem, "V2", num_directions=2, num_center_evaluations=3, seed=0).run(2)
    problems[1].kill_actors()
    assert problems[0].normalizer.count == problems[1].normalizer.count == 2 * 4 * 30
    assert (problems[0].normalizer.sum == problems[1].normalizer.sum).all()


def test_of_other_batches_every_row_counts() -> None:
    problem = swimmer()
    ARS(problem, "V2", num_directions=2, num_center_evaluations=3, seed=0).step()
    before = problem.normalizer.count
    problem.evaluate(problem.generate_batch(6))
    assert problem.normalizer.count == before + 6 * 30
