"""VectorizedSimulator equals Gymnasium's own environments bit for bit."""

import numpy as np
import pytest
from simulator_rows import assert_same_rows, gymnasium_rows, random_actions, simulator_rows

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators import (
    VECTORIZED_TASKS,
    GymnasiumSimulator,
    VectorizedSimulator,
    make_simulator,
)

CASES = [
    ("Pendulum-v1", {}),
    ("Pendulum-v1", {"g": 9.81}),
    ("Pendulum-v1", {"g": 3, "max_episode_steps": 60}),
    ("MountainCarContinuous-v0", {}),
    ("MountainCarContinuous-v0", {"goal_velocity": 0.04}),
    ("MountainCarContinuous-v0", {"goal_velocity": 1, "max_episode_steps": 300}),
]


def driving_actions(env_id, seed, num_steps):
    """Slow waves, which reach the car's goal, with noise and some actions on the bounds."""
    generator = np.random.default_rng(seed)
    high = 2.0 if env_id == "Pendulum-v1" else 1.0
    waves = np.sign(np.sin(np.arange(num_steps) * 2 * np.pi / 108))
    actions = waves * high + generator.normal(0, 0.4, num_steps)
    return np.clip(actions, -high, high).astype(np.float32)[:, None]


@pytest.mark.parametrize(("env_id", "env_config"), CASES)
def test_free_running_equals_gymnasium_bit_for_bit(env_id, env_config):
    actions = [random_actions(env_id, 1, 2100), driving_actions(env_id, 2, 2100)]
    with VectorizedSimulator(env_id, capacity=2, env_config=env_config) as simulator:
        rows = simulator_rows(simulator, (3, 2**40 + 7), actions)
    for slot, seed in enumerate((3, 2**40 + 7)):
        assert_same_rows(rows[slot], gymnasium_rows(env_id, seed, actions[slot], **env_config))


def test_the_car_arrives_in_the_comparison():
    env_id = "MountainCarContinuous-v0"
    rows = gymnasium_rows(env_id, 2**40 + 7, driving_actions(env_id, 2, 2100))
    assert any(row[3] for row in rows)


@pytest.mark.parametrize("env_id", VECTORIZED_TASKS)
def test_actions_beyond_the_bounds_equal_gymnasium(env_id):
    actions = 3 * random_actions(env_id, 4, 400)
    with VectorizedSimulator(env_id, capacity=1) as simulator:
        (rows,) = simulator_rows(simulator, [5], [actions])
    assert_same_rows(rows, gymnasium_rows(env_id, 5, actions))


@pytest.mark.parametrize("env_id", VECTORIZED_TASKS)
def test_slot_does_not_depend_on_the_others(env_id):
    actions = random_actions(env_id, 9, 50)
    alone, full = VectorizedSimulator(env_id, capacity=1), VectorizedSimulator(env_id, capacity=64)
    first = alone.reset([0], [5])
    full.reset(range(64), range(64))
    full.step(range(64), np.zeros((64, 1), dtype=np.float32))
    assert np.array_equal(full.reset([7], [5]), first)
    for action in actions:
        batch = np.random.default_rng(0).uniform(-1, 1, (64, 1)).astype(np.float32)
        batch[7] = action
        expected, result = alone.step([0], action[None]), full.step(range(64), batch)
        for ours, theirs in zip(result, expected, strict=True):
            assert np.array_equal(ours[7], theirs[0])


@pytest.mark.parametrize("env_id", VECTORIZED_TASKS)
def test_it_describes_gymnasiums_environment(env_id):
    ours, theirs = VectorizedSimulator(env_id), GymnasiumSimulator(env_id)
    for name in ("observation_size", "observation_shape", "action_space", "time_limit"):
        assert getattr(ours, name) == getattr(theirs, name), name
    theirs.close()


@pytest.mark.parametrize("env_id", VECTORIZED_TASKS)
def test_auto_and_numpy_take_it(env_id):
    assert type(make_simulator(env_id)) is VectorizedSimulator
    assert type(make_simulator(env_id, simulator="numpy")) is VectorizedSimulator
    with pytest.raises(StructuredLayersError, match="knows Ant-v5"):
        make_simulator(env_id, simulator="mujoco")


@pytest.mark.parametrize("env_id", VECTORIZED_TASKS)
def test_action_that_is_not_finite_fails_its_row_only(env_id):
    simulator = VectorizedSimulator(env_id, capacity=2)
    simulator.reset([0, 1], [1, 2])
    result = simulator.step([0, 1], np.array([[0.1], [np.nan]], dtype=np.float32))
    assert np.isfinite(result.rewards[0]) and not result.terminated[0]
    assert np.isnan(result.rewards[1]) and result.terminated[1]
    assert not result.observations[1].any() and not result.warned.any()
    assert "not finite" in simulator.last_error
    with pytest.raises(StructuredLayersError, match="slot 1 has no running episode"):
        simulator.step([1], np.zeros((1, 1), dtype=np.float32))
    assert np.isfinite(simulator.reset([1], [2])).all()


def test_empty_batch_and_close():
    simulator = VectorizedSimulator("Pendulum-v1", capacity=1)
    assert simulator.reset([], []).shape == (0, 3)
    shapes = [column.shape for column in simulator.step([], np.empty((0, 1), dtype=np.float32))]
    assert shapes == [(0, 3), (0,), (0,), (0,), (0,), (0,)]
    simulator.reset([0], [1])
    simulator.close()
    with pytest.raises(StructuredLayersError, match="reset it first"):
        simulator.step([0], np.zeros((1, 1), dtype=np.float32))


@pytest.mark.parametrize(
    ("env_id", "env_config", "message"),
    [
        ("Pendulum-v1", {"gravity": 1}, "no argument 'gravity'; .* g, max_episode_steps"),
        ("Pendulum-v1", {"g": "9.81"}, "g of Pendulum-v1 must be a finite number, got '9.81'"),
        ("Pendulum-v1", {"render_mode": "human"}, "draws nothing"),
        ("Pendulum-v1", {"max_episode_steps": 0}, "integer of at least 1, got 0"),
        ("Acrobot-v1", {}, "knows MountainCarContinuous-v0, Pendulum-v1"),
    ],
)
def test_wrong_arguments(env_id, env_config, message):
    with pytest.raises(StructuredLayersError, match=message):
        VectorizedSimulator(env_id, env_config=env_config)


def test_wrong_actions():
    simulator = VectorizedSimulator("Pendulum-v1", capacity=2)
    simulator.reset([0, 1], [1, 2])
    with pytest.raises(StructuredLayersError, match=r"shape \(2, 1\)"):
        simulator.step([0, 1], np.zeros((2,), dtype=np.float32))
