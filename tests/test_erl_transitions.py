"""The transitions of a population, and how they get into a replay buffer."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer

from structured_layers.integrations.sb3.erl.recording import RecordingSimulator, Transitions
from structured_layers.integrations.sb3.erl.replay import add_transitions
from structured_layers.integrations.simulators import make_simulator
from structured_layers.integrations.simulators.base import StepResult

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


def transitions(count: int, start: int = 0) -> Transitions:
    numbers = np.arange(start, start + count, dtype=np.float64)
    pairs = np.stack([numbers, -numbers], axis=1)
    terminated = numbers % 3 == 0
    return Transitions(pairs, pairs + 0.5, pairs.astype(np.float32), numbers, terminated)


def added_singly(buffer: ReplayBuffer, made: Transitions) -> None:
    for first in range(0, made.size, buffer.n_envs):
        rows = slice(first, first + buffer.n_envs)
        buffer.add(*(part[rows] for part in made), infos=[{}] * buffer.n_envs)


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize("counts", [(4,), (4, 8), (10, 10), (6, 0, 24)])
def test_one_write_equals_many(num_envs: int, counts: tuple[int, ...]) -> None:
    fast, slow = (ReplayBuffer(10 * num_envs, BOX, BOX, n_envs=num_envs) for _ in range(2))
    start = 0
    for count in counts:
        made = transitions(count, start)
        assert add_transitions(fast, made) == min(count, 10 * num_envs)
        added_singly(slow, made)
        start += count
    assert fast.size() == slow.size()
    assert fast.full == slow.full
    assert sorted(fast.rewards.flat) == sorted(slow.rewards.flat)
    if all(count <= 10 * num_envs for count in counts):
        assert fast.pos == slow.pos
        for name in ("observations", "next_observations", "actions", "rewards", "dones"):
            assert np.array_equal(getattr(fast, name), getattr(slow, name)), name


def test_timeouts_of_what_was_there_are_forgotten() -> None:
    buffer = ReplayBuffer(2, BOX, BOX)
    made = transitions(2)
    buffer.add(*(part[:1] for part in made), infos=[{"TimeLimit.truncated": True}])
    buffer.add(*(part[:1] for part in made), infos=[{"TimeLimit.truncated": True}])
    add_transitions(buffer, made)
    assert not buffer.timeouts.any()
    assert buffer.dones.flatten().tolist() == [1.0, 0.0]


def test_transitions_that_do_not_fit_change_nothing() -> None:
    buffer = ReplayBuffer(4, BOX, BOX)
    add_transitions(buffer, transitions(4))
    before = buffer.observations.copy()
    with pytest.raises(ValueError, match="reshape"):
        add_transitions(buffer, transitions(4, 10)._replace(actions=np.zeros((4, 3), np.float32)))
    assert np.array_equal(buffer.observations, before)


def test_rows_that_stay_incomplete_are_left_out() -> None:
    buffer = ReplayBuffer(20, BOX, BOX, n_envs=2)
    assert add_transitions(buffer, transitions(5)) == 4
    assert buffer.pos == 2


def test_recorded_steps_are_those_of_the_environment() -> None:
    """Hopper's rewards with the bonus for being alive, true actions, and the last observation."""
    env = gymnasium.make("Hopper-v5")
    observation, _ = env.reset(seed=7)
    rng = np.random.default_rng(0)
    with RecordingSimulator(make_simulator("Hopper-v5", capacity=2)) as simulator:
        simulator.reset([1], [7])
        terminated = False
        expected = []
        while not terminated:
            action = rng.uniform(-1, 1, (1, 3)).astype(np.float32)
            result = simulator.step(np.array([1]), action)
            rounded = np.float32(-1) + np.float32(0.5) * (action[0] + 1) * np.float32(2)
            following, reward, terminated, _, _ = env.step(rounded)
            expected.append((observation, following, action[0], reward, terminated))
            observation = following
            assert bool(result.terminated[0]) == terminated
        made = simulator.take()
        assert simulator.take().size == 0
    assert made.size == len(expected) > 5
    for recorded, true in zip(zip(*made, strict=True), expected, strict=True):
        for one, other in zip(recorded, true, strict=True):
            assert np.array_equal(one, other)
    assert made.terminated.tolist() == [False] * (made.size - 1) + [True]


def test_actions_are_scaled_to_the_environment() -> None:
    """Pendulum takes torques in [-2, 2]; the recording and the buffer know [-1, 1]."""
    env = gymnasium.make("Pendulum-v1")
    env.reset(seed=3)
    with RecordingSimulator(make_simulator("Pendulum-v1", capacity=1)) as simulator:
        simulator.reset([0], [3])
        result = simulator.step([0], np.array([[0.4]], np.float32))
        made = simulator.take()
    observation, reward, *_ = env.step(np.array([0.8], np.float32))
    assert np.array_equal(made.actions, np.array([[0.4]], np.float32))
    assert np.allclose(result.observations[0], observation, atol=1e-6)
    assert float(result.rewards[0]) == pytest.approx(float(reward), abs=1e-6)


def test_steps_of_unstable_physics_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = make_simulator("Pendulum-v1", capacity=2)
    step = inner.step

    def unstable(*args: Any) -> StepResult:
        return step(*args)._replace(rewards=np.array([0.0, 5.0]), warned=np.array([True, False]))

    monkeypatch.setattr(inner, "step", unstable)
    with RecordingSimulator(inner) as simulator:
        simulator.reset([0, 1], [0, 1])
        simulator.step(np.array([0, 1]), np.zeros((2, 1), np.float32))
        assert simulator.take().rewards.tolist() == [5.0]


def test_failed_steps_are_left_out() -> None:
    class Broken(gymnasium.Env):  # type: ignore[type-arg]
        observation_space = action_space = BOX

        def reset(self, **_: object) -> tuple[np.ndarray, dict[str, object]]:  # type: ignore[override,type-arg]
            self.count = 0
            return np.zeros(2, np.float32), {}

        def step(self, action: object) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:  # type: ignore[type-arg]
            self.count += 1
            reward = float("nan") if self.count == 2 else 1.0
            return np.ones(2, np.float32), reward, False, False, {}

    with RecordingSimulator(make_simulator(Broken, capacity=1)) as simulator:
        simulator.reset([0], [0])
        for _ in range(2):
            simulator.step([0], np.zeros((1, 2), np.float32))
        made = simulator.take()
        assert simulator.last_error is not None
    assert made.rewards.tolist() == [1.0]
