"""A huge observation fails its candidate alone and leaves the statistics as they are."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from structured_layers import mlp
from structured_layers.algorithms import ES
from structured_layers.integrations.evotorch import PolicyProblem


class Spiking(gymnasium.Env):
    """Observes normal numbers, and in some episodes, as their seeds say, a huge one."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, spike, at):
        self.spike, self.at = spike, at

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.spikes = self.np_random.random() < 0.2
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        assert np.isfinite(action).all()
        self.steps += 1
        return self.observe(), -float(action[0] ** 2), False, self.steps == 5, {}

    def observe(self):
        observation = self.np_random.normal(size=2)
        if self.spikes and self.steps == self.at:
            observation[1] = self.spike
        return observation


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("spike", [1e39, -1e160, 1e308])
def test_only_the_candidate_fails(spike, at):
    problem = PolicyProblem(lambda: Spiking(spike, at), mlp(2, [], 1), seed=0)
    search = ES(problem, popsize=40, seed=0)
    good = 0
    for _ in range(3):
        search.step()
        failed = problem.failed(search.population)
        good += int((~failed).sum())
        assert 0 < failed.sum() == problem.num_failed < 16
    assert problem.normalizer.count == 5 * good  # of episodes of five steps
    assert np.abs(problem.normalizer.mean).max() < 1
    assert np.abs(problem.normalizer.std - 1).max() < 0.5
    assert search.status["center"].isfinite().all()


def test_the_last_observation_is_not_acted_on_and_may_be_huge():
    problem = PolicyProblem(lambda: Spiking(1e160, at=5), mlp(2, [], 1), seed=0)
    batch = problem.generate_batch(20)
    problem.evaluate(batch)
    assert problem.num_failed == 0
    assert torch.isfinite(batch.evals).all()
