"""Striker and Thrower: models, first states, rewards and Gymnasium's own checks."""

import importlib
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from structured_layers.errors import MissingDependencyError, StructuredLayersError
from structured_layers.integrations import envs
from structured_layers.integrations.envs import ENVIRONMENTS, arm_model
from structured_layers.integrations.envs.striker_model import striker_model, striker_start
from structured_layers.integrations.envs.thrower_model import thrower_model, thrower_start
from structured_layers.integrations.simulators import make_simulator

STRIKER, THROWER = "structured_layers/Striker-v0", "structured_layers/Thrower-v0"
ARMS = [STRIKER, THROWER]
STRIKING = np.array([2.7, 2.7, 0.1, 0.0, 2.7, 1.0, 0.0], dtype=np.float32)
"""An action that, repeated, brings Striker's hand within 0.1 of the ball."""

# From gym's archived striker.xml and thrower.xml, compiled by MuJoCo 4.0.
STRIKER_MASSES = [
    *(0.0, 7.293521504574065, 3.141592653589794, 0.08545132017764237, 1.6286016316209488),
    *(0.4071504079052372, 0.08545132017764237, 0.8427322293254622, 0.00502654824574367),
    *(0.08545132017764237, 0.0432, 0.15707963267948968, 0.0024, 0.003072, 40.21238596594936),
    *(0.003072, 0.003072),
]
THROWER_MASSES = [
    *(0.0, 0.023038473465547382, 1.047197551196598e-06, 2.8483773392547456e-08),
    *(5.428672105403163e-07, 1.3571680263507907e-07, 2.8483773392547456e-08),
    *(2.809107431084874e-07, 1.6755160819145566e-09, 3.560471674068432e-09),
    *([2.2871171435784556e-09] * 7),
    *(0.0721763269601219, 0.0028274333882308132),
]


def episode(env_id, action_of, seed=0):
    """Observations (101, 23), rewards (100,) and actions (100, 7) of an episode."""
    env = gymnasium.make(env_id)
    env.action_space.seed(seed)
    observations, rewards, actions = [env.reset(seed=seed)[0]], [], []
    truncated = False
    while not truncated:
        actions.append(action_of(env))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        assert not terminated
        observations.append(observation)
        rewards.append(reward)
    env.close()
    return np.array(observations), np.array(rewards), np.array(actions)


def random_action(env):
    return env.action_space.sample()


@pytest.mark.parametrize("env_id", ARMS)
def test_the_name_of_the_module_registers(env_id):
    code = f"import gymnasium; gymnasium.make('structured_layers.integrations.envs:{env_id}')"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_twice_registers_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(envs)
    assert set(ENVIRONMENTS) <= set(gymnasium.registry)


@pytest.mark.parametrize("env_id", ARMS)
def test_gymnasium_has_nothing_to_say_but_on_the_range_of_actions(env_id):
    env = gymnasium.make(env_id).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=True)
    assert ["recommend using a symmetric and normalized" in str(w.message) for w in caught] == [
        True
    ]


@pytest.mark.parametrize("env_id", ARMS)
def test_spaces_and_metadata(env_id):
    env = gymnasium.make(env_id)
    assert env.observation_space.shape == (23,)
    assert env.observation_space.dtype == np.float64
    assert env.metadata["render_fps"] == 20
    assert env.spec.max_episode_steps == ENVIRONMENTS[env_id][1] == 100
    limits = [3.0] * 7 if env_id == STRIKER else [10.0] * 4 + [15.0] * 3
    assert env.action_space.high.tolist() == limits
    assert env.action_space.low.tolist() == [-limit for limit in limits]
    assert gymnasium.make(env_id, frame_skip=2).metadata["render_fps"] == 50


@pytest.mark.parametrize(
    ("model", "masses"), [(striker_model(), STRIKER_MASSES), (thrower_model(), THROWER_MASSES)]
)
def test_masses_are_those_of_the_archived_models(model, masses):
    assert model.body_mass.tolist() == pytest.approx(masses, rel=1e-12)
    assert (model.nq, model.nv, model.nu) == (16, 15, 7)
    assert model.opt.timestep == 0.01


def test_joints_of_striker():
    model = striker_model()
    assert model.jnt_range[1].tolist() == [-0.5236, 1.3963]
    assert model.dof_damping[:9].tolist() == [1.0, 1.0, *[0.1] * 5, 0.5, 0.5]
    assert model.dof_armature[:9].tolist() == [0.04] * 7 + [0.1] * 2
    assert not model.geom_friction.any()
    assert not model.opt.gravity.any()


def test_walls_of_striker():
    """One behind the goal and one on each side, turned about the vertical axis."""
    model = striker_model()
    goal = model.body("goal").id
    turned = [body for body in range(model.nbody) if model.body_parentid[body] == goal]
    walls = [body for body in turned if model.body(body).name != "coaster"]
    angles = 2 * np.arctan2(model.body_quat[walls, 3], model.body_quat[walls, 0])
    assert angles == pytest.approx([0.0, 0.785, -0.785], rel=1e-12)


@pytest.mark.parametrize(
    ("env_id", "arguments"),
    [
        *((env_id, {"frame_skip": value}) for env_id in ARMS for value in (0, 2.5, 2**31, True)),
        *((env_id, {"reward_dist_weight": np.nan}) for env_id in ARMS),
        *((env_id, {"reward_control_weight": "1"}) for env_id in ARMS),
        (STRIKER, {"reward_near_weight": 10**400}),
    ],
)
@pytest.mark.parametrize("kind", ["mujoco", "gymnasium"])
def test_wrong_arguments(env_id, arguments, kind):
    with pytest.raises(StructuredLayersError, match=f"{next(iter(arguments))} (of .* )?must be"):
        make_simulator(env_id, simulator=kind, env_config=arguments)


def test_joints_of_thrower():
    model = thrower_model()
    assert model.jnt_range[6].tolist() == [0.0, 2.25]
    assert model.dof_damping.tolist() == [1.0] * 9 + [0.0] * 6
    assert model.dof_armature.tolist() == [0.75] * 9 + [0.0] * 6
    assert model.opt.gravity.tolist() == [0.0, 0.0, -9.81]
    assert model.ngeom == 45


def test_striker_starts_with_the_goal_in_its_rectangle():
    model, generator = striker_model(), np.random.default_rng(0)
    goals = []
    for _ in range(500):
        qpos, qvel = striker_start(generator, model)
        assert qpos[7:9].tolist() == [-0.175, 0.5]
        assert (np.abs(qvel[:7]) <= 0.1).all() and qvel[:7].all() and not qvel[7:].any()
        goals.append(qpos[9:11])
    low, high = np.min(goals, axis=0), np.max(goals, axis=0)
    assert (low >= [0.15, 0.1]).all() and (high <= [0.7, 1.0]).all()
    # The extremes of 500 uniform draws miss the ends by more than 3 % with probability 3e-7.
    assert (high - low >= 0.94 * np.array([0.55, 0.9])).all()
    assert np.linalg.norm(np.array(goals) - [0.5, -0.175], axis=1).min() > 0.17


def test_thrower_starts_with_the_goal_in_its_square():
    model, generator = thrower_model(), np.random.default_rng(0)
    starts = [thrower_start(generator, model) for _ in range(500)]
    goals = np.array([qpos[7:9] for qpos, _ in starts])
    velocities = np.array([qvel for _, qvel in starts])
    assert (np.abs(goals) <= 0.3).all()
    assert (np.ptp(goals, axis=0) >= 0.94 * 0.6).all()
    assert (np.abs(velocities[:, :7]) <= 0.005).all() and not velocities[:, 7:].any()


@pytest.mark.parametrize("action_of", [random_action, lambda _: STRIKING])
def test_reward_of_striker(action_of):
    observations, rewards, actions = episode(STRIKER, action_of)
    hand, ball, goal = np.split(observations[:-1, 14:], 3, axis=1)
    reach = np.linalg.norm(ball - hand, axis=1)
    least = np.minimum.accumulate(np.linalg.norm(ball - goal, axis=1))
    near, place = [], None
    for step in range(100):
        place = hand[step] if reach[step] < 0.1 else place
        near.append(reach[step] if place is None else np.linalg.norm(ball[step] - place))
    expected = -3 * least - 0.1 * np.square(actions).sum(axis=1) - 0.5 * np.array(near)
    assert rewards == pytest.approx(expected, rel=1e-6)
    assert (place is None) == (action_of is random_action)
    if place is not None:
        assert np.ptp(ball, axis=0)[:2].max() > 0.5  # it rolls


def test_reward_of_thrower():
    observations, rewards, actions = episode(THROWER, random_action)
    ball, goal = observations[:-1, 17:20], observations[:-1, 20:22]
    landed = int(np.argmax(ball[:, 2] < -0.25))
    assert 0 < landed < 99
    counted = ball[:, :2].copy()
    counted[landed:] = ball[landed, :2]
    expected = -np.linalg.norm(counted - goal, axis=1) - 0.002 * np.square(actions).sum(axis=1)
    assert rewards == pytest.approx(expected, rel=1e-6)
    assert np.abs(ball[-1, :2] - ball[landed, :2]).max() > 1e-3  # it goes on, which does not count


@pytest.mark.parametrize("env_id", ARMS)
def test_seeds_and_copies_repeat_an_episode(env_id):
    env = gymnasium.make(env_id).unwrapped
    copied = pickle.loads(pickle.dumps(env))
    for seed in (4, 5, 4):
        first, second = env.reset(seed=seed)[0], copied.reset(seed=seed)[0]
        assert np.array_equal(first, second)
    assert not np.array_equal(first, env.reset(seed=5)[0])


@pytest.mark.parametrize("env_id", ARMS)
def test_weights_of_the_reward(env_id):
    plain = gymnasium.make(env_id)
    weighted = gymnasium.make(env_id, reward_dist_weight=0.0, reward_control_weight=2.0)
    for env in (plain, weighted):
        env.reset(seed=0)
    action = plain.action_space.high
    assert weighted.step(action)[4]["reward_dist"] == 0
    assert weighted.step(action)[4]["reward_ctrl"] == -2 * np.square(action).sum()


def test_without_mujoco(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingDependencyError, match=r"structured-layers\[evolution\]"):
        striker_model()


def test_without_gymnasiums_pusher(monkeypatch, tmp_path):
    monkeypatch.setattr(arm_model, "PUSHER_XML", tmp_path / "pusher_v5.xml")
    with pytest.raises(StructuredLayersError, match="pusher_v5.xml, which gymnasium .* not have"):
        striker_model()
