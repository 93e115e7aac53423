"""Searches of latent codes, and fixed statistics of observations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from equal_states import same_state
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers import (
    LatentLinear,
    StructuredLayersError,
    WeightDecoder,
    load_policy,
    mlp,
    to_dense,
)
from structured_layers.algorithms import ES, GA, LatentES, LatentGA
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.integrations.evotorch import ObservationNormalizer, PolicyProblem
from structured_layers.integrations.evotorch.best_center import BestCenter
from structured_layers.policy import Policy
from structured_layers.sequential_spec import SequentialSpec

MEAN, STD = np.linspace(-1, 1, 11), np.linspace(0.5, 2, 11)
SEARCHES = {
    "ga": (LatentGA, {"popsize": 6, "num_parents": 2, "num_elite_evaluations": 2}),
    "es": (LatentES, {"popsize": 6, "num_center_evaluations": 1}),
}
each_search = pytest.mark.parametrize("kind", SEARCHES)


def make_network(*, both: bool = True) -> nn.Sequential:
    """A policy of Hopper whose layers, or whose first layer, are decoded from 4 and 3 numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = LatentLinear(11, 8, decoder=WeightDecoder(8, 11, 4, hidden=(5,)))
        last = LatentLinear(8, 3, decoder=WeightDecoder(3, 8, 3, hidden=())) if both else None
        return nn.Sequential(first, nn.Tanh(), last or nn.Linear(8, 3))


def make_problem(network: nn.Module | None = None, **options: Any) -> PolicyProblem:
    given = {"episode_length": 12, "seed": 0, "observation_normalization": (MEAN, STD), **options}
    return PolicyProblem("Hopper-v5", network or make_network(), **given)


def make_search(kind: str, problem: PolicyProblem | None = None, **options: Any) -> Any:
    search, settings = SEARCHES[kind]
    return search(problem or make_problem(), **{"seed": 0, **settings, **options})


def best_of(search: Any) -> Tensor:
    found = search.elite_solution() if isinstance(search, GA) else search.center_solution()
    return torch.as_tensor(found)


def codes_of(network: nn.Module) -> Tensor:
    """Which trained values are codes: layer by layer the bias, then the code."""
    return torch.cat(
        [
            torch.full((p.numel(),), name.endswith("values"))
            for name, p in network.named_parameters()
        ]
    )


@each_search
def test_codes_and_other_values_are_perturbed_by_sigmas_of_their_own(kind: str) -> None:
    sigma = "stdev" if kind == "ga" else "stdev_init"
    options = {"popsize": 60, sigma: 0.5, "dense_scale": 0.01}
    if kind == "ga":
        options["num_elite_candidates"] = 0
    problem = make_problem(episode_length=1)
    search = make_search(kind, problem, **options)
    search.step()
    own = parameters_to_vector(problem.network.parameters()).detach()
    difference = search.population.values.as_subclass(Tensor) - own
    is_code = codes_of(problem.network)
    # the standard error of a standard deviation of n draws is 1/√(2n); 30 pairs, or 59 children
    for chosen, spread in ((is_code, 0.5), (~is_code, 0.005)):
        found = difference[1:, chosen].square().mean().sqrt() / spread
        assert abs(found - 1) < 4 / (2 * 30 * int(chosen.sum())) ** 0.5


@each_search
def test_a_search_begins_at_the_network_it_is_given(kind: str) -> None:
    problem = make_problem()
    own = parameters_to_vector(problem.network.parameters()).detach()
    assert torch.allclose(best_of(make_search(kind, problem)), own)
    other = make_network()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    start = "initial" if kind == "ga" else "center_init"
    expected = parameters_to_vector(other.parameters()).detach()
    for given in (other, expected):
        search = make_search(kind, problem, **{start: given})
        assert torch.allclose(best_of(search), expected)


@each_search
def test_codes_from_the_normal_distribution_leave_the_biases(kind: str) -> None:
    problem = make_problem()
    start = "initial" if kind == "ga" else "center_init"
    own = parameters_to_vector(problem.network.parameters()).detach()
    is_code = codes_of(problem.network)
    found = [best_of(make_search(kind, problem, **{start: "normal"}, seed=s)) for s in (0, 0, 1)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.allclose(found[0][~is_code], own[~is_code])
    assert not torch.isclose(found[0][is_code], own[is_code]).any()


def test_founders_are_the_codes_of_given_networks() -> None:
    networks = [make_network() for _ in range(3)]
    with torch.no_grad():
        for number, network in enumerate(networks):
            for parameter in network.parameters():
                parameter.fill_(number)
    search = make_search("ga", initial=networks)
    search.step()
    rows = search.population.values.as_subclass(Tensor)
    assert torch.equal(rows[:3], torch.arange(3.0)[:, None].expand(3, rows.shape[1]))
    assert not torch.equal(rows[3], rows[0])


@each_search
def test_one_latent_layer_is_enough(kind: str) -> None:
    problem = make_problem(make_network(both=False))
    search = make_search(kind, problem)
    search.run(2)
    assert search.population.evals.isfinite().all()
    assert len(best_of(search)) == 8 + 4 + 8 * 3 + 3


@each_search
def test_the_problem_sees_the_decoded_networks(kind: str) -> None:
    problem = make_problem()
    search = make_search(kind, problem, **({"crossover": "uniform"} if kind == "ga" else {}))
    search.step()
    latent = problem.to_policy(best_of(search))
    dense = Policy(
        to_dense(latent.network), latent.actions, observation_mean=MEAN, observation_std=STD
    )
    observations = np.random.default_rng(0).normal(size=(7, 11))
    actions = latent.predict(observations)[0]
    np.testing.assert_allclose(dense.predict(observations)[0], actions, atol=1e-6)


@each_search
def test_a_resumed_search_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    start = "initial" if kind == "ga" else "center_init"
    search = make_search(kind, **{start: "normal"})
    search.run(2)
    write_checkpoint(tmp_path, search.state_dict(), number=2)
    other = make_search(kind, make_problem(seed=4), seed=3)
    other.load_state_dict(read_checkpoint(tmp_path))
    for one in (search, other):
        one.run(2)
    assert torch.equal(best_of(search), best_of(other))
    assert torch.equal(search.population.evals, other.population.evals)
    assert same_state(search.state_dict(), other.state_dict())


@pytest.mark.xdist_group("ray")
def test_actors_change_no_bit() -> None:
    found = []
    for num_actors in (0, 2):
        problem = make_problem(num_actors=num_actors)
        search = make_search("ga", problem, crossover="uniform", initial="normal")
        search.run(2)
        found.append((search.population.evals.clone(), search.elite_solution()))
        if num_actors:
            problem.kill_actors()
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_latent_strategy_is_es_on_scaled_values() -> None:
    search = make_search("es", dense_scale=1.0)
    settings = {"stdev_init": 0.1, "popsize": 6, "num_center_evaluations": 1}
    latent = LatentES(make_problem(), dense_scale=1.0, seed=0, **settings)
    plain = ES(make_problem(), center_init=latent.center_solution(), seed=0, **settings)
    plain._generator.set_state(latent._generator.get_state())
    for one in (latent, plain):
        one.run(3)
    assert torch.equal(latent.center_solution(), plain.center_solution())
    assert search.status["center"] is not None


def test_starting_elsewhere_is_in_the_units_of_the_network() -> None:
    search = make_search("es")
    center = torch.linspace(-1, 1, int(search.problem.solution_length))
    search.start_at(center)
    assert torch.allclose(search.center_solution(), center, atol=1e-6)
    search.step()
    with pytest.raises(StructuredLayersError, match="before its first step"):
        search.start_at(center)


@each_search
@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (mlp(11, [8], 3), {}, "network has LatentLinear layers; make the"),
        (None, {"dense_scale": 0.0}, "dense_scale must be a positive"),
        (None, {"start": "mean"}, "start of a latent search must be one of network, normal"),
        (None, {"start": mlp(11, [8], 3)}, "123 trained values, the problem's 18; encode both"),
        (None, {"start": torch.zeros(5)}, r"must have shape \(18,\)"),
    ],
    ids=["dense", "dense_scale", "name", "network", "numbers"],
)
def test_bad_input_is_refused(
    kind: str, network: nn.Module | None, options: dict[str, Any], message: str
) -> None:
    renamed = {"start": "initial" if kind == "ga" else "center_init"}
    options = {renamed.get(name, name): value for name, value in options.items()}
    with pytest.raises(StructuredLayersError, match=message):
        make_search(kind, make_problem(network), **options)


# Fixed statistics of observations.


def test_fixed_statistics_never_change() -> None:
    problem = make_problem(mlp(11, [4], 3))
    search = ES(problem, popsize=4, seed=0)
    search.run(2)
    assert problem.normalizer is not None
    np.testing.assert_array_equal(problem.normalizer.mean, MEAN)
    np.testing.assert_array_equal(problem.normalizer.std, STD)
    policy = problem.to_policy(search.center_solution())
    np.testing.assert_array_equal(policy.observation_mean, MEAN)


def test_fixed_statistics_are_those_of_the_same_weights_folded() -> None:
    network = mlp(11, [], 3)
    folded = mlp(11, [], 3)
    with torch.no_grad():
        folded[0].weight.copy_(network[0].weight / torch.from_numpy(STD))
        shift = network[0].weight.double() @ torch.from_numpy(MEAN / STD)
        folded[0].bias.copy_(network[0].bias - shift)
    evals = []
    for policy, statistics in ((network, (MEAN, STD)), (folded, False)):
        problem = make_problem(policy, observation_normalization=statistics)
        batch = problem.generate_batch(1)
        batch.access_values()[:] = parameters_to_vector(policy.parameters()).detach()
        problem.evaluate(batch)
        evals.append(batch.evals[0, 0])
    assert evals[0] == pytest.approx(float(evals[1]), rel=1e-4)


def test_the_caller_keeps_the_arrays() -> None:
    mean = MEAN.copy()
    problem = make_problem(observation_normalization=(mean, STD))
    mean[:] = 5
    assert problem.normalizer is not None
    problem.normalizer.mean[:] = 7
    np.testing.assert_array_equal(problem.normalizer.mean, MEAN)


def test_fixed_statistics_are_saved(tmp_path: Path) -> None:
    problem = make_problem(mlp(11, [4], 3))
    write_checkpoint(tmp_path / "state", problem.state_dict(), number=1)
    state = read_checkpoint(tmp_path / "state")
    make_problem(mlp(11, [4], 3)).load_state_dict(state)
    best = BestCenter()
    best.offer(1.0, torch.zeros(3), problem.normalizer)
    kept = BestCenter()
    kept.load_state_dict(best.state_dict())
    assert kept.normalizer is not None
    np.testing.assert_array_equal(kept.normalizer.std, STD)
    policy = problem.to_policy(torch.zeros(problem.solution_length))
    policy.spec = SequentialSpec.of(policy.network)
    policy.save(tmp_path / "policy")
    np.testing.assert_array_equal(load_policy(tmp_path / "policy").observation_mean, MEAN)


@pytest.mark.parametrize("other", [True, (MEAN, 2 * STD)], ids=["running", "others"])
def test_other_statistics_are_not_taken_up(other: Any) -> None:
    problem = make_problem()
    state = make_problem(observation_normalization=other).state_dict()
    with pytest.raises(StructuredLayersError, match="that are fixed cannot be exchanged"):
        problem.load_state_dict(state)
    with pytest.raises(StructuredLayersError, match="that are fixed cannot be exchanged"):
        make_problem(observation_normalization=other).load_state_dict(problem.state_dict())


def test_running_statistics_come_back_from_their_state() -> None:
    normalizer = ObservationNormalizer(2)
    normalizer.count, normalizer.sum = 4, np.array([4.0, 8.0])
    normalizer.sum_of_squares = np.array([8.0, 20.0])
    again = ObservationNormalizer.from_state(normalizer.state_dict())
    np.testing.assert_array_equal(again.std, [1.0, 1.0])
    np.testing.assert_array_equal(again.mean, [1.0, 2.0])


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        ((MEAN[:3], STD[:3]), r"11 observations, two arrays \(11,\), got shapes \(3,\) and"),
        ((MEAN, 0 * STD), "must be finite, and the latter positive"),
        ((MEAN * np.nan, STD), "must be finite, and the latter positive"),
        ((MEAN,), "must be True, False or a mean and a standard deviation of 11"),
        (3, "must be True, False or a mean"),
        ("running", "must be True, False or a mean"),
        (None, "must be True, False or a mean"),
    ],
    ids=["size", "zero", "nan", "one", "number", "name", "none"],
)
def test_bad_statistics_are_refused(statistics: Any, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        make_problem(observation_normalization=statistics)
