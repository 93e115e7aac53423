"""GymnasiumSimulator: any environment, and what it does with those that fail."""

import gymnasium
import mujoco
import numpy as np
import pytest
from drift_envs import UnableToClose
from gymnasium import spaces

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators import GymnasiumSimulator, MujocoSimulator


class Scripted(gymnasium.Env):
    """Counts its steps; `trouble(step)` may raise or return a reward for them."""

    alive = 0

    def __init__(self, trouble=None, observation_space=None, action_space=None):
        self.observation_space = observation_space or spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = action_space or spaces.Box(-1.0, 1.0, (1,))
        self.trouble = trouble or (lambda step: 1.0)
        Scripted.alive += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        reward = self.trouble(self.steps)
        return self.observe(), reward, False, False, {"reward_survive": 0.25}

    def observe(self):
        return np.array([self.steps, 0.0], dtype=np.float32)

    def close(self):
        Scripted.alive -= 1


class LastObservation(Scripted):
    """Returns whatever `observation` is, from the second observation on."""

    def __init__(self, observation):
        super().__init__()
        self.observation = observation

    def observe(self):
        return super().observe() if self.steps == 0 else self.observation


def raise_at_3(step):
    if step == 3:
        raise RuntimeError("the arm is broken")
    return 1.0


def assert_failed_row(result, row):
    assert np.isnan(result.rewards[row])
    assert result.terminated[row] and not result.truncated[row]
    assert result.alive_bonus[row] == 0.0
    assert not result.observations[row].any()


def compare_with_gymnasium(simulator, envs, actions):
    """Step both with actions (steps, slots, …), resetting a slot when its episode ends."""
    slots, seeds = list(range(len(envs))), [10 * slot for slot in range(len(envs))]
    first = simulator.reset(slots, seeds)
    for slot, env in enumerate(envs):
        assert np.array_equal(first[slot], env.reset(seed=seeds[slot])[0])
    for batch in actions:
        result = simulator.step(slots, batch)
        for slot, env in enumerate(envs):
            expected = env.step(batch[slot])
            ours = [column[slot] for column in result]
            assert np.array_equal(ours.pop(0), expected[0])
            assert ours.pop(1) == 0.0
            assert ours == [*expected[1:4], False]
            if expected[2] or expected[3]:
                seeds[slot] += 1
                again = simulator.reset([slot], [seeds[slot]])[0]
                assert np.array_equal(again, env.reset(seed=seeds[slot])[0])


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("by_callable", [False, True])
def test_equals_plain_gymnasium(env_id, by_callable):
    envs = [gymnasium.make(env_id) for _ in range(3)]
    space = envs[0].action_space
    space.seed(1)
    actions = np.array([[space.sample() for _ in envs] for _ in range(450)])
    env = (lambda: gymnasium.make(env_id)) if by_callable else env_id
    with GymnasiumSimulator(env, capacity=3) as simulator:
        assert simulator.action_space == space
        assert simulator.time_limit == envs[0].spec.max_episode_steps
        compare_with_gymnasium(simulator, envs, actions)
        assert simulator.last_error is None


def test_discrete_start_is_the_environments():
    received = []

    class Shifted(Scripted):
        def step(self, action):
            received.append(action)
            return super().step(action)

    simulator = GymnasiumSimulator(
        lambda: Shifted(action_space=spaces.Discrete(3, start=-1)), capacity=2
    )
    simulator.reset([0, 1], [0, 0])
    simulator.step([0, 1], np.array([-1, 1], dtype=np.int32))
    assert received == [-1, 1]
    with pytest.raises(StructuredLayersError, match="must be integers, got float64"):
        simulator.step([0, 1], [0.5, 0.0])


def test_a_choice_for_each_part_of_a_multi_discrete_space():
    received = []

    class Buttons(Scripted):
        def step(self, action):
            received.append(action.tolist())
            action[:] = 7
            return super().step(action)

    space = spaces.MultiDiscrete([2, 3], start=[0, 5])
    simulator = GymnasiumSimulator(lambda: Buttons(action_space=space), capacity=2)
    simulator.reset([0, 1], [0, 0])
    actions = np.array([[0, 7], [1, 5]])
    simulator.step([0, 1], actions)
    assert received == [[0, 7], [1, 5]] == actions.tolist()
    with pytest.raises(StructuredLayersError, match="MultiDiscrete space must be integers"):
        simulator.step([0, 1], np.zeros((2, 2)))
    with pytest.raises(StructuredLayersError, match=r"must have shape \(2, 2\), got \(2,\)"):
        simulator.step([0, 1], [0, 1])


def test_one_odd_row_leaves_the_others_as_they_are():
    """Rows are read together where they fit, and one by one where any does not."""
    odd = [np.array([1.0, 0.0, 0.0]), np.array([np.inf, 0.0]), "north", np.zeros((2, 2))]
    made = []

    def next_environment():
        made.append(LastObservation(odd[len(made) - 1]) if 0 < len(made) <= 4 else Scripted())
        return made[-1]

    simulator = GymnasiumSimulator(next_environment, capacity=6)
    slots = list(range(6))
    simulator.reset(slots, slots)
    result = simulator.step(slots, np.zeros((6, 1)))
    for row in (1, 2, 3, 4):
        assert_failed_row(result, row)
    assert result.rewards[[0, 5]].tolist() == [1.0, 1.0]
    assert result.observations[[0, 5]].tolist() == [[1.0, 0.0]] * 2
    assert simulator.step([0, 5], np.zeros((2, 1))).observations[:, 0].tolist() == [2.0, 2.0]
    with pytest.raises(StructuredLayersError, match="slot 3 has no running episode"):
        simulator.step([0, 3], np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (spaces.Discrete(3, start=1), 2, [0, 1, 0]),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (
            spaces.Dict(a=spaces.Box(-1, 1, (2, 1)), b=spaces.Discrete(2)),
            {"a": np.array([[0.5], [0.25]], dtype=np.float32), "b": 1},
            [0.5, 0.25, 0, 1],
        ),
        (spaces.Box(-1, 1, (2, 2)), np.eye(2, dtype=np.float32), [1, 0, 0, 1]),
    ],
)
def test_observations_are_flattened(space, value, expected):
    class Structured(Scripted):
        def observe(self):
            return value

    simulator = GymnasiumSimulator(lambda: Structured(observation_space=space), capacity=1)
    assert simulator.observation_size == len(expected)
    assert simulator.reset([0], [0]).tolist() == [expected]


class Ending(Scripted):
    """Returns whatever `ends` is as (terminated, truncated)."""

    def __init__(self, ends):
        super().__init__()
        self.ends = ends

    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, *self.ends, info


BAD_FLAGS = [np.array([True, True]), np.nan, None, "yes", [], 2, {}]


@pytest.mark.parametrize("bad", BAD_FLAGS)
@pytest.mark.parametrize("position", [0, 1])
def test_an_end_that_is_no_truth_value_fails_its_row_only(bad, position):
    ends = (bad, False) if position == 0 else (False, bad)
    envs = iter([Scripted(), Ending(ends)])
    simulator = GymnasiumSimulator(lambda: next(envs), capacity=2)
    simulator.reset([0, 1], [0, 0])
    result = simulator.step([0, 1], np.zeros((2, 1)))
    assert_failed_row(result, 1)
    assert result.rewards[0] == 1.0 and not result.terminated[0]
    name = ("terminated", "truncated")[position]
    assert f"{name} is no truth value" in simulator.last_error


@pytest.mark.parametrize("good", [np.array([True]), np.bool_(True), 1, np.array(1.0)])
def test_ends_in_other_types(good):
    simulator = GymnasiumSimulator(lambda: Ending((good, np.array([False]))), capacity=2)
    simulator.reset([0, 1], [0, 0])
    result = simulator.step([0, 1], np.zeros((2, 1)))
    assert result.terminated.tolist() == [True, True]
    assert result.truncated.tolist() == [False, False]
    assert result.rewards.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e300])
def test_an_action_that_is_not_finite_fails_its_row_unseen(bad):
    simulator = GymnasiumSimulator(Scripted, capacity=2)
    simulator.reset([0, 1], [0, 0])
    result = simulator.step([0, 1], np.array([[0.0], [bad]]))
    assert_failed_row(result, 1)
    assert result.rewards[0] == 1.0
    assert simulator.last_error == "Scripted: an action is not finite"


class Speaking(Scripted):
    """Has MuJoCo's data, whose state is huge at the second step of episodes with odd seeds."""

    def __init__(self):
        super().__init__()
        xml = "<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody></mujoco>"
        self.model = mujoco.MjModel.from_xml_string(xml)
        self.data = mujoco.MjData(self.model)

    def reset(self, *, seed=None, options=None):
        mujoco.mj_resetData(self.model, self.data)
        self.odd = seed % 2
        return super().reset(seed=seed)

    def step(self, action):
        if self.odd and self.steps == 1:
            self.data.qpos[0] = 1e15
        mujoco.mj_step(self.model, self.data)
        return super().step(action)


def test_unstable_physics_end_their_episode_only(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    handler = mujoco.get_mju_user_warning()
    simulator = GymnasiumSimulator(Speaking, capacity=2)
    simulator.reset([0, 1], [2, 3])
    assert not simulator.step([0, 1], np.zeros((2, 1))).warned.any()
    result = simulator.step([0, 1], np.zeros((2, 1)))
    assert result.warned.tolist() == result.terminated.tolist() == [False, True]
    assert result.rewards.tolist() == [1.0, 0.0] and result.alive_bonus.tolist() == [0.25, 0.0]
    assert not result.observations[1].any() and result.observations[0, 0] == 2.0
    assert simulator.last_error is None
    simulator.reset([1], [2])
    assert not simulator.step([0, 1], np.zeros((2, 1))).warned.any()
    assert mujoco.get_mju_user_warning() is handler
    assert not list(tmp_path.iterdir()) and capfd.readouterr().err == ""


@pytest.mark.parametrize("by_callable", [False, True])
def test_making_an_environment_leaves_no_log(by_callable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = "HalfCheetah-v5"
    with GymnasiumSimulator((lambda: gymnasium.make(env)) if by_callable else env, 2) as simulator:
        simulator.reset([0, 1], [0, 1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("by_callable", [False, True])
@pytest.mark.parametrize("env_id", ["InvertedPendulum-v5", "InvertedDoublePendulum-v5"])
def test_balancing_pays_no_bonus(env_id, by_callable):
    env = (lambda: gymnasium.make(env_id)) if by_callable else env_id
    for simulator in (GymnasiumSimulator(env, 1), MujocoSimulator(env_id, 1)):
        simulator.reset([0], [0])
        result = simulator.step([0], [[0.0]])
        assert result.rewards[0] > 0.9 and result.alive_bonus[0] == 0.0
        simulator.close()


def test_no_time_limit_and_alive_bonus():
    simulator = GymnasiumSimulator(Scripted, capacity=1)
    assert simulator.time_limit is None
    simulator.reset([0], [0])
    assert simulator.step([0], [[0.0]]).alive_bonus.tolist() == [0.25]


def test_environments_are_made_when_needed_and_closed():
    before = Scripted.alive
    simulator = GymnasiumSimulator(Scripted, capacity=8)
    assert Scripted.alive == before + 1
    simulator.reset([5], [0])
    assert Scripted.alive == before + 1
    simulator.reset([0, 1], [0, 0])
    assert Scripted.alive == before + 3
    simulator.close()
    assert Scripted.alive == before
    simulator.close()
    assert Scripted.alive == before
    simulator.reset([0], [0])
    simulator.close()
    assert Scripted.alive == before


def test_environment_that_raises_is_replaced_at_reset():
    made = []

    def one_bad_environment():
        made.append(Scripted(raise_at_3 if len(made) == 1 else None))
        return made[-1]

    simulator = GymnasiumSimulator(one_bad_environment, capacity=3)
    simulator.reset([0, 1, 2], [0, 0, 0])
    for _ in range(2):
        assert simulator.step([0, 1, 2], np.zeros((3, 1))).rewards.tolist() == [1.0] * 3
    result = simulator.step([0, 1, 2], np.zeros((3, 1)))
    assert_failed_row(result, 1)
    assert result.rewards[[0, 2]].tolist() == [1.0, 1.0]
    assert result.observations[[0, 2], 0].tolist() == [3.0, 3.0]
    assert simulator.last_error == "one_bad_environment: RuntimeError: the arm is broken"
    with pytest.raises(StructuredLayersError, match="slot 1 has no running episode"):
        simulator.step([1], np.zeros((1, 1)))
    assert len(made) == 3
    assert simulator.reset([1], [0]).tolist() == [[0.0, 0.0]]
    assert len(made) == 4
    assert simulator.step([0, 1], np.zeros((2, 1))).observations[:, 0].tolist() == [4.0, 1.0]


@pytest.mark.parametrize("reward", [np.nan, np.inf, None, "much", np.ones(2)])
def test_reward_that_is_no_finite_number(reward):
    simulator = GymnasiumSimulator(lambda: Scripted(lambda step: reward), capacity=1)
    simulator.reset([0], [0])
    assert_failed_row(simulator.step([0], [[0.0]]), 0)
    assert simulator.last_error


@pytest.mark.parametrize("reward", [1, np.float32(1), np.ones(1), True])
def test_reward_in_other_types(reward):
    simulator = GymnasiumSimulator(lambda: Scripted(lambda step: reward), capacity=1)
    simulator.reset([0], [0])
    assert simulator.step([0], [[0.0]]).rewards.tolist() == [1.0]


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.array([np.nan, 0.0]), "an observation is not finite"),
        (np.zeros(3), "an observation has 3 numbers, its space 2"),
        (None, "an observation has 1 numbers, its space 2"),
    ],
)
def test_observation_that_does_not_fit(observation, message):
    simulator = GymnasiumSimulator(lambda: LastObservation(observation), capacity=1)
    simulator.reset([0], [0])
    assert_failed_row(simulator.step([0], [[0.0]]), 0)
    assert message in simulator.last_error


def test_reset_that_raises_gives_nan():
    class NoReset(Scripted):
        def reset(self, *, seed=None, options=None):
            if seed == 1:
                raise RuntimeError("no such level")
            return super().reset(seed=seed)

    simulator = GymnasiumSimulator(NoReset, capacity=2)
    observations = simulator.reset([0, 1], [0, 1])
    assert observations[0].tolist() == [0.0, 0.0]
    assert np.isnan(observations[1]).all()
    assert simulator.last_error == "NoReset: RuntimeError: no such level"
    assert simulator.reset([1], [2]).tolist() == [[0.0, 0.0]]


def test_keyboard_interrupt_passes():
    def interrupted(step):
        raise KeyboardInterrupt

    simulator = GymnasiumSimulator(lambda: Scripted(interrupted), capacity=1)
    simulator.reset([0], [0])
    with pytest.raises(KeyboardInterrupt):
        simulator.step([0], [[0.0]])


def test_environments_cannot_write_into_the_callers_actions():
    class Greedy(Scripted):
        def step(self, action):
            action[:] = 7.0
            return super().step(action)

    simulator = GymnasiumSimulator(Greedy, capacity=1)
    simulator.reset([0], [0])
    actions = np.zeros((1, 1), dtype=np.float32)
    simulator.step([0], actions)
    assert actions.tolist() == [[0.0]]


def test_empty_batch():
    simulator = GymnasiumSimulator("CartPole-v1", capacity=1)
    assert simulator.reset([], []).shape == (0, 4)
    assert simulator.step([], []).observations.shape == (0, 4)
    simulator.close()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (
            {"action_space": spaces.MultiBinary(4)},
            "action space of .* got MultiBinary",
        ),
        ({"action_space": spaces.Box(-1, 1, (2, 2))}, "action space of .* got Box"),
        ({"action_space": spaces.Box(0, 9, (2,), np.int64)}, "floating numbers"),
        ({"observation_space": spaces.Box(0, 255, (8, 8, 3), np.uint8)}, "holds an image"),
        (
            {"observation_space": spaces.Dict(eye=spaces.Box(0, 255, (8, 8, 3), np.uint8))},
            "holds an image",
        ),
        ({"observation_space": spaces.Sequence(spaces.Discrete(2))}, "got Sequence"),
    ],
)
def test_spaces_that_a_policy_cannot_serve(kinds, message):
    before = Scripted.alive
    with pytest.raises(StructuredLayersError, match=message):
        GymnasiumSimulator(lambda: Scripted(**kinds))
    assert Scripted.alive == before


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPol-v1", "no environment is called 'CartPol-v1'.*did you mean .*CartPole-v1"),
        ("Qwertyuiop-v1", "'module:Id-v0', or give a callable that makes the environment"),
        (
            "no_such_module_at_all:Thing-v0",
            "could not be made: ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("not an id", "not an id could not be made"),
        (lambda: 3, "must return a gymnasium.Env, got builtins.int"),
        (lambda: 1 / 0, "could not be made: ZeroDivisionError"),
        (3, "must be an id for gymnasium.make or a callable"),
    ],
)
def test_environments_that_cannot_be_made(env, message):
    with pytest.raises(StructuredLayersError, match=message):
        GymnasiumSimulator(env)


@pytest.mark.parametrize(
    ("env", "suggested"),
    [("Minitaur-v0", "did you mean structured_layers/Minitaur-v0"), ("Stiker-v0", "/Striker-v0")],
)
def test_ids_of_ours_are_suggested(env, suggested):
    with pytest.raises(StructuredLayersError, match=suggested):
        GymnasiumSimulator(env)


@pytest.mark.parametrize("capacity", [0, 257, True, 2.5, "3"])
def test_capacity_out_of_range(capacity):
    with pytest.raises(StructuredLayersError, match="capacity must be between 1 and 256"):
        GymnasiumSimulator("CartPole-v1", capacity)


def test_an_environment_that_cannot_be_closed_stops_nothing():
    simulator = GymnasiumSimulator(UnableToClose, capacity=2)
    simulator.reset([0, 1], seeds=[1, 2])
    simulator.close()
    assert simulator.reset([1], seeds=[3]).shape == (1, 3)


def test_shapes_of_observations():
    assert GymnasiumSimulator("CartPole-v1", capacity=1).observation_shape == (4,)
    assert GymnasiumSimulator("FrozenLake-v1", capacity=1).observation_shape == (16,)
    grid = spaces.Box(-1.0, 1.0, (2, 3))
    simulator = GymnasiumSimulator(lambda: Scripted(observation_space=grid), capacity=1)
    assert simulator.observation_shape == (2, 3)
    simulator.close()
    assert MujocoSimulator("Hopper-v5", capacity=1).observation_shape == (11,)
