"""How many actors, on which cluster, and what travels to them."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import ray
import torch
from evotorch import SolutionBatch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import structured_layers
from structured_layers import load_policy, mlp
from structured_layers.algorithms import ES
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy
from structured_layers.integrations.evotorch import ray_session as session_module
from structured_layers.integrations.evotorch.rollouts import Rollouts
from structured_layers.specs import NetworkSpec


def make_problem(**settings):
    return PolicyProblem("drift_envs:Drift-v0", mlp(3, [4], 2), seed=0, **settings)


@pytest.mark.parametrize("auto", ["auto", "max", "num_cpus"])
@pytest.mark.parametrize(("cores", "expected"), [(1, 0), (2, 2), (64, 64)])
def test_auto_is_an_actor_for_each_core(auto, cores, expected, monkeypatch):
    monkeypatch.setattr(session_module, "available_cores", lambda: cores)
    assert make_problem(num_actors=auto).num_actors == expected


def test_more_actors_than_cores_give_a_warning_with_the_number(monkeypatch):
    monkeypatch.setattr(session_module, "available_cores", lambda: 3)
    with pytest.warns(RuntimeWarning, match=r"4 actors on 3 cores .*num_actors=3 is enough"):
        assert make_problem(num_actors=4).num_actors == 4
    monkeypatch.setattr(session_module, "available_cores", lambda: 1)
    with pytest.warns(RuntimeWarning, match=r"2 actors on 1 core .*num_actors=0 is enough"):
        make_problem(num_actors=2)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no processor affinity here")
def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert session_module.available_cores() == len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def problems(ray_session):
    made = [make_problem(num_actors=number, episode_length=8) for number in (0, 1, 2)]
    yield made
    made[2].kill_actors()


@pytest.mark.xdist_group("ray")
@settings(max_examples=5)
@given(popsize=st.integers(1, 90), generation=st.integers(0, 3), seed=st.integers(0, 10**6))
def test_numbers_do_not_depend_on_the_actors(problems, popsize, generation, seed):
    """None, one, which is this process too, or two."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(popsize, problems[0].solution_length, generator=generator)
    alone, *others = (evaluations(problem, weights, generation) for problem in problems)
    for other in others:
        assert torch.equal(alone, other)
        assert np.array_equal(problems[0].normalizer.mean, problems[2].normalizer.mean)


def evaluations(problem, weights, generation):
    problem.generation = generation
    batch = SolutionBatch(problem, len(weights), empty=True)
    batch.set_values(weights)
    problem.evaluate(batch)
    return batch.evals.as_subclass(torch.Tensor)


@pytest.mark.xdist_group("ray")
def test_what_travels_does_not_grow_with_the_network(ray_session, monkeypatch):
    """Bytes of a chunk there and back, for a network of 100 weights and one of 10,000."""
    sent = []
    module = "structured_layers.integrations.evotorch.policy_problem.map_chunks"

    def measure(problem, chunks):
        sent.append([len(pickle.dumps(chunk)) for chunk in chunks])
        rows = Rollouts.empty(sum(len(chunk) for chunk in chunks), problem.observation_size)
        return [rows]

    monkeypatch.setattr(module, measure)
    session_module.ensure_ray()
    for hidden in (16, 1600):
        problem = PolicyProblem("drift_envs:Drift-v0", mlp(3, [hidden], 2), seed=0, num_actors=2)
        monkeypatch.setattr(problem, "_actors", [])  # none is needed to see what would be sent
        search = ES(problem, popsize=60, stdev_init=0.1, seed=0)
        search.step()
    small, large = sent
    # PyTorch's pickles hold addresses in decimal digits, of which there are not always as many.
    assert all(abs(a - b) < 16 for a, b in zip(small, large, strict=True))
    assert max(small) < 40 * 30 + 2000  # a seed for each candidate, and what all share


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_run_on_a_cluster_that_is_there_already(tmp_path, ray_session):
    session_module.ensure_ray()
    address = ray.get_runtime_context().gcs_address
    host = address.rpartition(":")[0]
    code = "from structured_layers.integrations.cli import entry_point; entry_point()"
    paths = (Path(__file__).parent, Path(structured_layers.__file__).parents[1])
    train = [
        *("train", "drift_envs:Drift-v0", "--hidden", "3", "--popsize", "4"),
        *("--total-steps", "200", "--out", str(tmp_path / "run")),
        *("--num-actors", "auto", "--ray-address", address.replace(host, "localhost")),
    ]
    finished = subprocess.run(
        [sys.executable, "-c", code, *train],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "run" / "policy" / "policy.json").exists()
    with pytest.raises(StructuredLayersError, match="has joined the Ray cluster at"):
        session_module.ensure_ray("10.1.2.3:6379")


def test_what_nobody_normalises_with_does_not_travel():
    problem = make_problem(observation_normalization=False)
    values = problem.generate_values(5)
    rows = problem.evaluate_candidates(problem._candidates(values))
    assert rows.observation_sum.shape == rows.observation_sum_of_squares.shape == (5, 0)
    batch = problem.generate_batch(5)
    problem.evaluate(batch)
    assert batch.evals.isfinite().all()


class Buttons(gymnasium.Env):
    """Pays for pressing the third button of the first row and the second of the second."""

    observation_space = spaces.Dict(light=spaces.Discrete(2), level=spaces.Box(-1, 1, (1,)))
    action_space = spaces.MultiDiscrete([3, 2], start=[1, 0])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = float(action[0] == 3) + float(action[1] == 1)
        return self.observe(), reward, False, False, {}

    def observe(self):
        return {"light": 1, "level": np.array([0.5], dtype=np.float32)}


def test_multi_discrete_actions_and_dict_observations(tmp_path):
    spec = NetworkSpec(3, 5, hidden=(), layer="dense", output_bias=True)
    problem = PolicyProblem(
        Buttons, spec.build(), episode_length=4, observation_normalization=False, seed=0
    )
    best = torch.zeros(problem.solution_length)
    best[-5:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0])  # the biases
    values = torch.stack([torch.zeros_like(best), best])
    batch = SolutionBatch(problem, 2, empty=True)
    batch.set_values(values)
    problem.evaluate(batch)
    assert batch.evals[:, 0].tolist() == [0.0, 8.0]
    problem.to_policy(best, spec=spec).save(tmp_path)
    policy = load_policy(tmp_path)
    assert policy.predict(np.zeros(3))[0].tolist() == [3, 1]
    assert policy.predict(np.zeros((2, 3)))[0].tolist() == [[3, 1], [3, 1]]
    assert evaluate_policy(policy, Buttons, num_episodes=2, episode_length=4).tolist() == [8, 8]
    with pytest.raises(StructuredLayersError, match="acts by choices among 3 and 2, .* takes a c"):
        evaluate_policy(policy, Lamp)


class Lamp(Buttons):
    """The same with one choice of five."""

    action_space = spaces.Discrete(5)
