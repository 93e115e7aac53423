"""What actors are sent, and that they make the same bits of it."""

import pickle

import pytest
import ray
import torch
from torch.nn.utils import parameters_to_vector

from structured_layers import mlp
from structured_layers.algorithms import ES, ESENAS, RandomSearch, SearchSpace
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch import policy_problem as problem_module
from structured_layers.integrations.evotorch.perturbed_rows import PerturbedRows
from structured_layers.layers import MaskedLinear

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("ray_session")]


def make_problem(hidden: int, num_actors: int) -> PolicyProblem:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = mlp(8, [hidden], 2)
    return PolicyProblem("Swimmer-v5", network, episode_length=20, seed=3, num_actors=num_actors)


@pytest.fixture(scope="module")
def problems(ray_session):
    """The same problem alone and with two actors, at its start.

    A candidate is larger than any seed, and small enough for the d × d matrix of CMA-ES.
    """
    alone, spread = make_problem(24, 0), make_problem(24, 2)
    yield alone, spread
    spread.kill_actors()


def searched(problem: PolicyProblem, generations: int = 3, **options: object) -> ES:
    start = problem.state_dict()
    center = parameters_to_vector(problem.network.parameters()).detach()
    settings = {"popsize": 10, "num_center_evaluations": 3, **options}
    search = ES(problem, center_init=center, seed=2, **settings)
    search.run(generations)
    problem.load_state_dict(start)
    return search


@pytest.mark.parametrize(
    "options",
    [
        {"directions": "gaussian"},
        {"directions": "orthogonal", "estimator": "forward", "popsize": 9},
        {"directions": "hadamard", "num_top": 3},
        {"directions": "coordinate", "estimator": "vanilla", "baseline": "mean"},
        {"optimizer": "cmaes"},  # whose weights follow from no seed, and travel as they are
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_the_update_is_the_same_bit_for_bit_with_actors(options: dict, problems) -> None:
    alone, spread = (searched(problem, **options) for problem in problems)
    assert torch.equal(alone.population.evals, spread.population.evals)
    assert torch.equal(alone.center_population.evals, spread.center_population.evals)
    assert torch.equal(alone.status["center"], spread.status["center"])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list:
    """The chunks that go to the actors."""
    chunks: list = []
    real = problem_module.map_chunks

    def record(problem, asked):
        chunks.extend(asked)
        return real(problem, asked)

    monkeypatch.setattr(problem_module, "map_chunks", record)
    return chunks


def test_seeds_travel_and_no_weights(problems, sent: list) -> None:
    searched(problems[1], generations=1)
    assert len(sent) >= 2
    for chunk in sent:
        assert isinstance(chunk.weights, PerturbedRows)
        size = len(pickle.dumps(chunk.weights.perturbation))
        assert size < 1000 < 4 * problems[1].solution_length  # bytes of a single candidate
    centers = {chunk.weights.center for chunk in sent}
    assert len(centers) == 1  # read from the store, where it lies once
    expected = parameters_to_vector(problems[1].network.parameters()).detach()
    assert torch.equal(ray.get(centers.pop()), expected)


def test_decisions_travel_and_not_what_they_decode_to(sent: list) -> None:
    network = mlp(8, [40], 2, layer=MaskedLinear, output_bias=False)
    space = SearchSpace.of(network, num_kept=5)
    results = []
    for num_actors in (0, 2):
        problem = PolicyProblem(
            "Swimmer-v5",
            network,
            search_space=space,
            episode_length=20,
            seed=3,
            num_actors=num_actors,
        )
        search = ESENAS(
            problem,
            RandomSearch(space, seed=1),
            popsize=8,
            center_init=torch.zeros(problem.num_parameters),
            seed=2,
        )
        search.run(2)
        if problem.actors is not None:
            problem.kill_actors()
        results.append(search)
    assert {tuple(chunk.decisions.shape[1:]) for chunk in sent} == {(5,)}
    assert torch.equal(results[0].population.evals, results[1].population.evals)
    assert torch.equal(results[0].status["center"], results[1].status["center"])


def test_in_one_process_nothing_is_made_twice(problems, sent: list) -> None:
    searched(problems[0], generations=1)
    assert all(isinstance(chunk.weights, torch.Tensor) for chunk in sent)


def test_other_searches_send_their_weights(problems, sent: list) -> None:
    """A description holds for one batch only, and not for the next that somebody else evaluates."""
    problem = problems[1]
    searched(problem, generations=1)
    sent.clear()
    batch = problem.generate_batch(4)
    problem.evaluate(batch)
    assert all(isinstance(chunk.weights, torch.Tensor) for chunk in sent)
    assert torch.equal(torch.cat([chunk.weights for chunk in sent]), batch.values)


def test_a_problem_with_a_description_is_pickled_without_it() -> None:
    problem = PolicyProblem("Swimmer-v5", mlp(8, [], 2), episode_length=20, seed=3)
    search = ES(problem, popsize=4, directions=lambda n, d, g, t: torch.ones(n, d, dtype=t), seed=0)
    search._weights.ask(0, torch.empty(4, problem.solution_length))
    problem.describe_next(search._weights.perturbation)
    copied = pickle.loads(pickle.dumps(problem))
    assert copied._next is None
    copied.evaluate(copied.generate_batch(2))
