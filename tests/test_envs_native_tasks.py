"""The native tasks of Striker and Thrower equal the Gymnasium environments bit for bit."""

import gymnasium
import numpy as np
import pytest

from structured_layers.integrations.envs import ENVIRONMENTS
from structured_layers.integrations.simulators import MujocoSimulator, make_simulator

STRIKER, THROWER = "structured_layers/Striker-v0", "structured_layers/Thrower-v0"
STRIKING = np.array([2.7, 2.7, 0.1, 0.0, 2.7, 1.0, 0.0], dtype=np.float32)
"""An action that, repeated, brings Striker's hand within 0.1 of the ball."""


def played(simulator, env, seed, action_of):
    """Step both through an episode, compare every number, and return the rewards' terms."""
    expected, _ = env.reset(seed=seed)
    observation = simulator.reset([1], [seed])
    assert np.array_equal(observation[0], expected)
    terms, truncated = [], False
    while not truncated:
        action = action_of()
        expected, reward, terminated, truncated, info = env.step(action)
        result = simulator.step([1], action[None])
        assert np.array_equal(result.observations[0], expected)
        assert result.rewards[0] == reward
        assert result.alive_bonus[0] == 0
        assert bool(result.terminated[0]) is terminated is False
        assert bool(result.truncated[0]) is truncated
        terms.append(info)
    return terms


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"frame_skip": 3, "reward_dist_weight": 1.7, "reward_control_weight": 0.3},
    ],
)
@pytest.mark.parametrize("env_id", [STRIKER, THROWER])
def test_random_episodes(env_id, config):
    env = gymnasium.make(env_id, **config)
    env.action_space.seed(0)
    with make_simulator(env_id, capacity=2, env_config=config) as simulator:
        assert type(simulator) is MujocoSimulator
        assert simulator.action_space == env.action_space
        for seed in range(10):
            terms = played(simulator, env, seed, env.action_space.sample)
            assert len(terms) == simulator.time_limit == ENVIRONMENTS[env_id][1]
    env.close()


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_strikes(weight):
    config = {"reward_near_weight": weight}
    env = gymnasium.make(STRIKER, **config)
    with make_simulator(STRIKER, capacity=2, env_config=config) as simulator:
        for seed in range(3):
            terms = played(simulator, env, seed, lambda: STRIKING)
            # Away from the place of the strike the ball only gets farther.
            assert terms[-1]["reward_near"] < -0.2 * weight
    env.close()


def test_many_slots_do_not_mix():
    seeds = list(range(6))
    actions = np.tile(STRIKING, (6, 1)) * np.linspace(0.5, 1, 6, dtype=np.float32)[:, None]
    with make_simulator(STRIKER, capacity=6) as simulator:
        simulator.reset(seeds, seeds)
        together = np.array([simulator.step(seeds, actions).rewards for _ in range(60)])
        for slot in seeds:
            simulator.reset([0], [slot])
            alone = [simulator.step([0], actions[slot : slot + 1]).rewards[0] for _ in range(60)]
            assert np.array_equal(together[:, slot], alone)


@pytest.mark.parametrize("env_id", [STRIKER, THROWER])
def test_name_of_the_module(env_id):
    name = f"structured_layers.integrations.envs:{env_id}"
    with make_simulator(name, capacity=1) as one, make_simulator(env_id, capacity=1) as other:
        assert type(one) is type(other) is MujocoSimulator
        assert np.array_equal(one.reset([0], [3]), other.reset([0], [3]))
