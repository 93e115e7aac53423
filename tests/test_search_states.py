"""States, seeds and descriptions that belong to another search, batch or process."""

from itertools import permutations

import pytest
import torch
from evotorch import Problem

from structured_layers import ChromaticLinear, Palette, StructuredLayersError, mlp
from structured_layers.algorithms import ARS, ES, SearchSpace, StructuredEvolution
from structured_layers.algorithms.directions import orthogonal
from structured_layers.integrations.evotorch import PolicyProblem

KINDS: dict[str, dict[str, object]] = {
    "adam": {},
    "sgd": {"optimizer": "sgd"},
    "clipup": {"optimizer": "clipup"},
    "cmaes": {"optimizer": "cmaes"},
    "baseline": {"baseline": "mean"},
    "slope": {"slope": True},
    "small cmaes": {"optimizer": "cmaes", "popsize": 6},
}


def sphere(seed: int | None = None) -> Problem:
    return Problem(
        "min",
        lambda x: ((x - 1) ** 2).sum(-1),
        solution_length=4,
        initial_bounds=(-1, 1),
        vectorized=True,
        seed=seed,
    )


@pytest.mark.parametrize(("saved", "asked"), list(permutations(KINDS, 2)))
def test_a_state_of_another_kind_of_search_changes_nothing(saved: str, asked: str) -> None:
    other = ES(sphere(), **{"popsize": 8, "seed": 0, **KINDS[saved]})
    settings = {"popsize": 8, "seed": 1, "center_init": torch.zeros(4), **KINDS[asked]}
    search, twin = ES(sphere(), **settings), ES(sphere(), **settings)
    for one, generations in ((other, 3), (search, 2), (twin, 2)):
        one.run(generations)
    with pytest.raises(StructuredLayersError, match="make the search with the settings"):
        search.load_state_dict(other.state_dict())
    search.run(2)
    twin.run(2)
    assert torch.equal(search.status["center"], twin.status["center"])
    assert search.step_count == twin.step_count


def test_the_seed_comes_from_the_problem() -> None:
    centers = []
    for seed in (42, 42, 43):
        search = ES(sphere(seed), popsize=8)
        search.run(2)
        centers.append(search.status["center"])
    assert torch.equal(centers[0], centers[1])
    assert not torch.equal(centers[0], centers[2])


def test_orthogonal_rows_do_not_depend_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    try:
        rows = []
        for number in (1, 2):
            torch.set_num_threads(number)
            generator = torch.Generator().manual_seed(3)
            rows.append(orthogonal(256, 256, generator, torch.float64))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*rows)


def swimmer(**options: object) -> PolicyProblem:
    return PolicyProblem("Swimmer-v5", mlp(8, [], 2), episode_length=5, seed=0, **options)


@pytest.mark.parametrize("search", [ES, ARS, StructuredEvolution])
def test_decisions_are_not_perturbed(search: type[ES]) -> None:
    network = mlp(
        8, [], 2, layer=lambda i, o, bias: ChromaticLinear(i, o, bias, palette=Palette(3))
    )
    space = SearchSpace.of(network)
    settings = {"observation_normalization": search is ARS, "alive_bonus": search is not ARS}
    problem = PolicyProblem("Swimmer-v5", network, search_space=space, seed=0, **settings)
    with pytest.raises(StructuredLayersError, match="has a search space.* take ESENAS"):
        search(problem)


def test_a_description_ends_with_its_evaluation() -> None:
    problem = swimmer()
    search = ES(problem, popsize=4, seed=0)

    def fail(batch: object) -> None:
        raise KeyboardInterrupt

    problem.before_eval_hook.append(fail)
    with pytest.raises(KeyboardInterrupt):
        search.step()
    assert problem._next in (None, (None, None))


@pytest.mark.xdist_group("ray")
def test_a_hook_that_changes_the_batch_is_obeyed_by_actors() -> None:
    evals = []
    for num_actors in (0, 2):
        problem = swimmer(num_actors=num_actors)
        problem.before_eval_hook.append(lambda batch: batch.access_values().clamp_(-0.05, 0.05))
        center = torch.zeros(problem.solution_length)
        search = ES(problem, popsize=4, center_init=center, stdev_init=1.0, seed=0)
        search.step()
        evals.append(search.population.evals.clone())
        if num_actors:
            problem.kill_actors()
    assert torch.equal(*evals)
