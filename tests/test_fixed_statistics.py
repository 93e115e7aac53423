"""Statistics of observations that never change, as the networks of one space need them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latent_cases import MEAN, STD, make_problem
from torch.nn.utils import parameters_to_vector

from structured_layers import StructuredLayersError, load_policy, mlp
from structured_layers.algorithms import ES
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.integrations.evotorch import ObservationNormalizer
from structured_layers.integrations.evotorch.best_center import BestCenter
from structured_layers.sequential_spec import SequentialSpec


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
