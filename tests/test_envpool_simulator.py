"""EnvPoolSimulator: what EnvPool can promise, and what it cannot."""

import sys

import gymnasium
import numpy as np
import pytest

from structured_layers import mlp
from structured_layers.errors import MissingDependencyError, StructuredLayersError
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.simulators import (
    EnvPoolSimulator,
    MujocoSimulator,
    make_simulator,
)


def test_without_envpool_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(MissingDependencyError, match=r"structured-layers\[envpool\]"):
        EnvPoolSimulator("CartPole-v1")


def test_auto_never_takes_it():
    with make_simulator("CartPole-v1") as simulator:
        assert not isinstance(simulator, EnvPoolSimulator)


@pytest.fixture(autouse=True, scope="module")
def _envpool():
    pytest.importorskip("envpool")


def played(simulator, actions):
    """The slots' rows over some steps, slots named in another order in every second one."""
    slots = np.arange(actions.shape[1])
    simulator.reset(slots, slots)
    steps = []
    for number, batch in enumerate(actions):
        order = slots[::-1] if number % 2 else slots
        result = simulator.step(order, batch[order])
        assert (result.terminated | result.truncated).sum() == 0
        steps.append(result.observations[np.argsort(order)])
    return np.array(steps)


def test_rows_belong_to_their_slots():
    """An action in one slot moves that slot alone, in whatever order slots are named."""
    actions = np.zeros((6, 3), dtype=np.int64)
    other = actions.copy()
    other[:, 1] = 1
    with EnvPoolSimulator("CartPole-v1", capacity=3) as simulator:
        first = played(simulator, actions)
    with make_simulator("CartPole-v1", simulator="envpool", capacity=3) as simulator:
        second = played(simulator, other)
    np.testing.assert_array_equal(first[:, [0, 2]], second[:, [0, 2]])
    assert (first[:, 1] != second[:, 1]).any(axis=1).all()
    assert len(np.unique(first[0, :, 0])) == 3  # each slot has an episode of its own


def test_some_slots_go_on_while_others_rest_or_start_again():
    with EnvPoolSimulator("CartPole-v1", capacity=3) as simulator:
        simulator.reset([0, 2], [5, 6])
        before = simulator.step([2, 0], [1, 1]).observations
        simulator.reset([0], [7])
        after = simulator.step([2], [1]).observations
        assert abs(after[0] - before[0]).max() < 1.0
        with pytest.raises(StructuredLayersError, match="slot 1 has no running episode"):
            simulator.step([0, 1], [0, 0])


def test_the_same_task_as_ours():
    """Spaces and time limit are those of Gymnasium; rewards have EnvPool's float32."""
    with EnvPoolSimulator("Hopper-v5", capacity=1) as simulator:
        ours = MujocoSimulator("Hopper-v5", capacity=1)
        assert simulator.observation_size == ours.observation_size
        assert simulator.observation_shape == ours.observation_shape
        assert simulator.time_limit == ours.time_limit
        np.testing.assert_array_equal(simulator.action_space.low, ours.action_space.low)
        simulator.reset([0], [0])
        bonuses, ends = [], False
        while not ends:
            result = simulator.step([0], np.ones((1, 3), dtype=np.float32))
            bonuses.append(result.alive_bonus[0])
            ends = result.terminated[0]
        assert bonuses == [1.0] * (len(bonuses) - 1) + [0.0]
        with pytest.raises(StructuredLayersError, match="must have shape"):
            simulator.step([0], np.ones((1, 2)))


def test_a_population_is_evaluated():
    problem = PolicyProblem(
        "CartPole-v1", mlp(4, [], 2), simulator="envpool", seed=0, episode_length=50, capacity=4
    )
    batch = problem.generate_batch(12)
    problem.evaluate(batch)
    assert problem.env_steps == int(batch.evals[:, 2].sum())
    assert (batch.evals[:, 0] == batch.evals[:, 2]).all()  # CartPole pays 1 a step
    assert not problem.num_failed


class Shuffled:
    """A pool that returns its rows in the order of their slots, whatever was asked."""

    def reset(self, slots):
        order = np.sort(slots)
        return np.tile(order[:, None], 4).astype(float), {"env_id": order}

    def step(self, actions, slots):
        order = np.sort(slots)
        ends = order == 2
        return self.reset(slots)[0], 10.0 * order, ends, ~ends, {"env_id": order}

    def close(self):
        pass


def test_rows_come_back_in_the_order_of_the_slots():
    with EnvPoolSimulator("CartPole-v1", capacity=3) as simulator:
        simulator._pool = Shuffled()
        assert simulator.reset([2, 0, 1], [0, 0, 0])[:, 0].tolist() == [2, 0, 1]
        result = simulator.step([2, 0, 1], [0, 0, 0])
        assert result.observations[:, 0].tolist() == [2, 0, 1]
        assert result.rewards.tolist() == [20, 0, 10]
        assert result.terminated.tolist() == [True, False, False]
        assert result.truncated.tolist() == [False, True, True]


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v4", "InvertedDoublePendulum-v4"])
def test_balancing_pays_no_bonus(env_id):
    with EnvPoolSimulator(env_id, capacity=1) as simulator:
        simulator.reset([0], [0])
        result = simulator.step([0], np.zeros((1, 1), dtype=np.float32))
        assert result.rewards[0] > 0.9 and result.alive_bonus[0] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env": "Nowhere-v0"}, "EnvPool has no environment 'Nowhere-v0'"),
        ({"env": lambda: gymnasium.make("CartPole-v1")}, "got a callable"),
        ({"env": "CartPole-v1", "env_config": {"num_envs": 3}}, "must not contain num_envs"),
        ({"env": "CartPole-v1", "env_config": {"mass": 3}}, "could not be made by EnvPool.*mass"),
        ({"env": "FrozenLake-v1"}, "observations of one Box"),
        ({"env": "CartPole-v1", "capacity": 300}, "capacity must be between"),
    ],
)
def test_what_it_refuses(arguments, message):
    with pytest.raises(StructuredLayersError, match=message):
        make_simulator(**arguments, simulator="envpool")


def test_action_of_the_wrong_kind():
    with EnvPoolSimulator("CartPole-v1", capacity=1) as simulator:
        simulator.reset([0], [0])
        with pytest.raises(StructuredLayersError, match="must be integers, got float64"):
            simulator.step([0], [0.5])
        assert simulator.reset([], []).shape == (0, 4)
        assert simulator.step([], []).observations.shape == (0, 4)
