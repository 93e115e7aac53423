"""The contract of simulators, held by MujocoSimulator, and the choice of a simulator."""

import pickle

import gymnasium
import mujoco
import numpy as np
import pytest
from simulator_rows import random_actions

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators import (
    TASKS,
    GymnasiumSimulator,
    MujocoSimulator,
    Simulator,
    make_simulator,
)

GYMNASIUMS = [env_id for env_id in TASKS if "/" not in env_id]


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    """Gymnasium's own HalfCheetah makes MuJoCo write a log into the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("env_id", GYMNASIUMS)
def test_slot_does_not_depend_on_the_others(env_id):
    """The same episode alone, in a full batch in reverse order, and joining late."""
    num_steps, count = 40, 64
    actions = random_actions(env_id, 9, num_steps)
    alone = MujocoSimulator(env_id, capacity=1)
    expected = [alone.reset([0], [5]), *(alone.step([0], row[None]) for row in actions)]

    full = MujocoSimulator(env_id, capacity=count)
    slots = list(reversed(range(count)))
    full.reset(slots, range(count))
    full.step(slots, np.zeros((count, actions.shape[1]), dtype=np.float32))
    assert np.array_equal(full.reset([7], [5]), expected[0])
    generator = np.random.default_rng(0)
    for step, action in enumerate(actions):
        batch = generator.uniform(-1, 1, (count, actions.shape[1])).astype(np.float32)
        batch[slots.index(7)] = action
        result = full.step(slots, batch)
        for ours, theirs in zip(result, expected[1 + step], strict=True):
            assert np.array_equal(ours[slots.index(7)], theirs[0])


@pytest.mark.parametrize("env_id", GYMNASIUMS)
def test_both_simulators_describe_the_same_environment(env_id):
    ours, theirs = MujocoSimulator(env_id), GymnasiumSimulator(env_id)
    assert ours.observation_size == theirs.observation_size
    assert ours.action_space == theirs.action_space
    assert ours.time_limit == theirs.time_limit is not None
    theirs.close()


def test_results_are_typed_by_the_contract():
    simulator = MujocoSimulator("Hopper-v5", capacity=3)
    observations = simulator.reset(np.array([2, 0]), np.array([1, 2]))
    result = simulator.step(np.array([2, 0]), np.zeros((2, 3), dtype=np.float32))
    assert observations.shape == result.observations.shape == (2, simulator.observation_size)
    dtypes = [column.dtype for column in (observations, *result)]
    assert dtypes == [np.float64] * 4 + [np.bool_] * 3
    assert simulator.last_error is None


def test_returned_arrays_are_the_callers():
    simulator = MujocoSimulator("Swimmer-v5", capacity=1)
    first = simulator.reset([0], [1])
    kept = first.copy()
    result = simulator.step([0], np.ones((1, 2), dtype=np.float32))
    again = result.observations.copy()
    simulator.step([0], np.ones((1, 2), dtype=np.float32))
    assert np.array_equal(first, kept)
    assert np.array_equal(result.observations, again)


def test_empty_batch():
    simulator = MujocoSimulator("Swimmer-v5", capacity=1)
    assert simulator.reset([], []).shape == (0, 8)
    result = simulator.step([], np.empty((0, 2), dtype=np.float32))
    assert [column.shape for column in result] == [(0, 8), (0,), (0,), (0,), (0,), (0,)]


def test_action_that_is_not_finite_fails_its_row_only():
    simulator = MujocoSimulator("HalfCheetah-v5", capacity=2)
    simulator.reset([0, 1], [1, 2])
    actions = np.zeros((2, 6), dtype=np.float32)
    actions[1, 0] = np.nan
    result = simulator.step([0, 1], actions)
    assert np.isfinite(result.rewards[0]) and not result.terminated[0]
    assert_failed_row(result, 1)
    assert "HalfCheetah-v5" in simulator.last_error and "not finite" in simulator.last_error
    with pytest.raises(StructuredLayersError, match="slot 1 has no running episode"):
        simulator.step([1], actions[:1])
    assert np.isfinite(simulator.reset([1], [2])).all()


def assert_failed_row(result, row):
    assert np.isnan(result.rewards[row])
    assert result.terminated[row] and not result.truncated[row]
    assert result.alive_bonus[row] == 0.0
    assert not result.observations[row].any()


def test_physics_that_raises_fails_its_row_only(monkeypatch):
    expected = MujocoSimulator("Hopper-v5", capacity=3)
    simulator = MujocoSimulator("Hopper-v5", capacity=3)
    actions = random_actions("Hopper-v5", 0, 3)
    for each in (expected, simulator):
        each.reset([0, 1, 2], [1, 2, 3])
    reference = expected.step([0, 1, 2], actions)
    calls = iter(range(3))

    def fails_at_the_second(model, data, nstep, mj_step=mujoco.mj_step):
        if next(calls) == 1:
            raise RuntimeError("stack overflow")
        mj_step(model, data, nstep)

    monkeypatch.setattr(mujoco, "mj_step", fails_at_the_second)
    result = simulator.step([0, 1, 2], actions)
    assert_failed_row(result, 1)
    assert simulator.last_error == "Hopper-v5: RuntimeError: stack overflow"
    for row in (0, 2):
        assert np.array_equal(result.observations[row], reference.observations[row])
        assert result.rewards[row] == reference.rewards[row]


def test_reset_that_raises_gives_nan(monkeypatch):
    simulator = MujocoSimulator("Swimmer-v5", capacity=2)

    def fails(model, data):
        raise RuntimeError("no forward")

    with monkeypatch.context() as patch:
        patch.setattr(mujoco, "mj_forward", fails)
        assert np.isnan(simulator.reset([0], [1])).all()
    assert simulator.last_error == "Swimmer-v5: RuntimeError: no forward"
    assert np.isfinite(simulator.reset([0], [1])).all()


def test_keyboard_interrupt_passes(monkeypatch):
    simulator = MujocoSimulator("Swimmer-v5", capacity=1)
    simulator.reset([0], [1])

    def interrupted(model, data, nstep):
        raise KeyboardInterrupt

    monkeypatch.setattr(mujoco, "mj_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulator.step([0], np.zeros((1, 2), dtype=np.float32))


def test_close_frees_the_slots():
    simulator = MujocoSimulator("Swimmer-v5", capacity=1)
    first = simulator.reset([0], [1])
    simulator.close()
    simulator.close()
    with pytest.raises(StructuredLayersError, match="reset it first"):
        simulator.step([0], np.zeros((1, 2), dtype=np.float32))
    assert np.array_equal(simulator.reset([0], [1]), first)


@pytest.mark.parametrize("slots", [[0, 0], [-1], [2], [0.5], [[0, 1]]])
def test_wrong_slots(slots):
    simulator = MujocoSimulator("Swimmer-v5", capacity=2)
    with pytest.raises(StructuredLayersError, match="slots must be different integers from 0 to 1"):
        simulator.reset(slots, [1] * len(slots))
    simulator.reset([0, 1], [1, 2])
    with pytest.raises(StructuredLayersError, match="slots must be different integers from 0 to 1"):
        simulator.step(slots, np.zeros((len(slots), 2), dtype=np.float32))


@pytest.mark.parametrize(
    "seeds", [[1], [1, 2, 3], [1, -2], None, 1, [1, 2.5], ["1", "2"], [1, None], [True, 1]]
)
def test_wrong_seeds(seeds):
    simulator = MujocoSimulator("Swimmer-v5", capacity=2)
    with pytest.raises(StructuredLayersError, match="2 non-negative integers"):
        simulator.reset([0, 1], seeds)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (2,)])
def test_wrong_actions(shape):
    simulator = MujocoSimulator("Swimmer-v5", capacity=2)
    simulator.reset([0, 1], [1, 2])
    with pytest.raises(StructuredLayersError, match=r"shape \(2, 2\)"):
        simulator.step([0, 1], np.zeros(shape, dtype=np.float32))


NO_NUMBERS = [["a", "b"]] * 2, [[1, 2], [3]], None, [[1j, 0]] * 2, [["1", "2"]] * 2


@pytest.mark.parametrize("actions", NO_NUMBERS)
@pytest.mark.parametrize("kind", ["mujoco", "gymnasium"])
def test_actions_that_are_no_numbers(kind, actions):
    with make_simulator("Swimmer-v5", simulator=kind, capacity=2) as simulator:
        simulator.reset([0, 1], [1, 2])
        with pytest.raises(StructuredLayersError, match="actions must be an array of numbers"):
            simulator.step([0, 1], actions)


@pytest.mark.parametrize("kind", ["mujoco", "gymnasium"])
@pytest.mark.parametrize("env_config", [[1], "ab", {1: 2}, []])
def test_arguments_without_names(kind, env_config):
    with pytest.raises(StructuredLayersError, match="env_config must be a mapping"):
        make_simulator("Swimmer-v5", simulator=kind, env_config=env_config)


@pytest.mark.parametrize("capacity", [0, -1, 257, True, 2.5, "3"])
@pytest.mark.parametrize("simulator", ["mujoco", "gymnasium"])
def test_capacity_out_of_range(simulator, capacity):
    with pytest.raises(StructuredLayersError, match="capacity must be between 1 and 256"):
        make_simulator("Swimmer-v5", simulator=simulator, capacity=capacity)


def test_make_simulator_chooses():
    assert type(make_simulator("Swimmer-v5")) is MujocoSimulator
    for env, kind in [
        ("CartPole-v1", "auto"),
        ("Swimmer-v5", "gymnasium"),
        (lambda: gymnasium.make("CartPole-v1"), "auto"),
    ]:
        with make_simulator(env, simulator=kind) as simulator:
            assert isinstance(simulator, Simulator)
            assert type(simulator) is GymnasiumSimulator


@pytest.mark.parametrize(
    ("env", "kind", "message"),
    [
        ("CartPole-v1", "mujoco", r"knows Ant-v5, HalfCheetah-v5.*got 'CartPole-v1'"),
        (dict, "mujoco", "got a callable"),
        ("Swimmer-v5", "brax", '"auto", "mujoco", "numpy"'),
    ],
)
def test_make_simulator_refuses(env, kind, message):
    with pytest.raises(StructuredLayersError, match=message):
        make_simulator(env, simulator=kind)


def test_tasks_travel_between_processes():
    copied = pickle.loads(pickle.dumps(TASKS))
    assert copied == TASKS


def test_compiling_leaves_mujoco_as_it_was(capfd, tmp_path):
    handler = mujoco.get_mju_user_warning()
    MujocoSimulator("HalfCheetah-v5", capacity=1)
    assert mujoco.get_mju_user_warning() is handler
    assert capfd.readouterr().err == ""
    assert not list(tmp_path.iterdir())
