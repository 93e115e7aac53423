"""Searches of latent codes."""

import runpy
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from equal_states import same_state
from latent_cases import MEAN, SEARCHES, STD, best_of, make_network, make_problem, make_search
from markdown_blocks import ROOT
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from zoo_cases import small_zoo

from structured_layers import StructuredLayersError, mlp, to_dense
from structured_layers.algorithms import ES, LatentES
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent import NetworkAutoencoder, fit_linear_autoencoder
from structured_layers.policy import Policy

each_search = pytest.mark.parametrize("kind", SEARCHES)


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


@each_search
def test_a_state_of_other_decoders_changes_nothing(kind: str) -> None:
    search = make_search(kind)
    search.step()
    same = make_search(kind, make_problem(make_network()))
    same.load_state_dict(search.state_dict())
    other = make_search(kind, make_problem(make_network(seed=2)))
    before = other.state_dict()
    with pytest.raises(StructuredLayersError, match="this search is .*decoders"):
        other.load_state_dict(search.state_dict())
    assert same_state(other.state_dict(), before)


@pytest.mark.xdist_group("ray")
def test_actors_change_no_bit(ray_session: None) -> None:
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
    search = make_search("es", dense_scale=0.1)
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


def test_the_example_takes_the_statistics_of_the_autoencoder(tmp_path: Path) -> None:
    zoo = small_zoo(inputs=11, outputs=3)
    coder = fit_linear_autoencoder(zoo, {"0": 2}, torch.Generator().manual_seed(0))
    coder.save(tmp_path / "with")
    NetworkAutoencoder(coder.autoencoders, coder.network).save(tmp_path / "without")
    make = runpy.run_path(str(ROOT / "examples" / "latent_evolution.py"))["make_problem"]
    problem = make(Namespace(autoencoder=str(tmp_path / "with"), episode_length=5, seed=0))
    np.testing.assert_array_equal(problem.normalizer.mean, zoo.observation_mean)
    np.testing.assert_array_equal(problem.normalizer.std, zoo.observation_std)
    problem = make(Namespace(autoencoder=str(tmp_path / "without"), episode_length=5, seed=0))
    assert problem.normalizer.count == 0
