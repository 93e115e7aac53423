"""The Minitaur stands, walks and falls, in both forms."""

import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.envs.minitaur_model import MOTORS, minitaur_model
from structured_layers.integrations.envs.minitaur_pmtg import denormalized
from structured_layers.integrations.simulators import make_simulator

BARE, PMTG = "structured_layers/Minitaur-v0", "structured_layers/MinitaurPMTG-v0"
BOTH = [BARE, PMTG]
SPINE = 0.13, 0.85  # least height and least cosine of the tilt


def walk(env, actions):
    """Rewards, and whether the episode ended by a fall, for actions from a fresh reset."""
    rewards = []
    for action in actions:
        _, reward, terminated, _, _ = env.step(action)
        rewards.append(reward)
        if terminated:
            return np.array(rewards), True
    return np.array(rewards), False


@pytest.mark.parametrize("env_id", BOTH)
def test_gymnasium_has_nothing_to_say(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize(("env_id", "sizes", "fps"), [(BARE, (28, 8), 100), (PMTG, (7, 13), 167)])
def test_spaces_and_metadata(env_id, sizes, fps):
    env = gymnasium.make(env_id)
    assert (env.observation_space.shape[0], env.action_space.shape[0]) == sizes
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (sizes[1],), dtype=np.float32)
    assert env.metadata["render_fps"] == fps
    assert env.spec.max_episode_steps == 500


def test_model():
    model = minitaur_model()
    assert (model.nq, model.nv, model.nu, model.neq) == (23, 22, 8, 4)
    masses = 3.353 + 2 * 1.32 + 8 * (0.072 + 0.034) + 4 * (0.086 + 0.072)
    assert model.body_mass.sum() == pytest.approx(masses)
    assert [model.actuator(number).name for number in range(8)] == list(MOTORS)
    assert model.actuator_forcerange.tolist() == [[-3.5, 3.5]] * 8


def test_stands_still_without_actions():
    env = gymnasium.make(BARE)
    env.reset(seed=0)
    rewards, fell = walk(env, np.zeros((500, 8), dtype=np.float32))
    assert not fell and len(rewards) == 500
    assert abs(rewards.sum()) < 0.02  # meters
    assert np.abs(env.unwrapped.data.qvel).max() < 0.01
    assert env.unwrapped.data.efc_pos[:12] == pytest.approx(0, abs=1e-3)  # the ankles hold


@pytest.mark.parametrize("seed", [0, 1])
def test_walks_forward_without_actions(seed):
    env = gymnasium.make(PMTG)
    env.reset(seed=seed)
    rewards, fell = walk(env, np.zeros((500, 13), dtype=np.float32))
    assert not fell and len(rewards) == 500
    assert rewards.sum() > 1.5
    assert abs(env.unwrapped.data.qpos[1]) < 0.1 * rewards.sum()
    assert rewards.sum() == pytest.approx(env.unwrapped.data.qpos[0])


def test_no_intensity_stands_still():
    env = gymnasium.make(PMTG)
    env.reset(seed=0)
    action = np.zeros(13, dtype=np.float32)
    action[9] = -1
    rewards, fell = walk(env, [action] * 200)
    assert not fell
    assert abs(rewards.sum()) < 0.02


@pytest.mark.parametrize("env_id", BOTH)
def test_falls_end_episodes(env_id):
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, dtype=np.float32)
    # Legs of one side short, of the other side long.
    legs = [4, 5, 6, 7] if env_id == BARE else [1, 3, 5, 7]
    action[legs] = [1, 1, -1, -1]
    if env_id == PMTG:
        action[9] = 1.0
    rng = np.random.default_rng(0)
    noisy = [np.clip(action + 0.3 * rng.normal(size=action.size), -1, 1) for _ in range(500)]
    _, fell = walk(env, np.array(noisy, dtype=np.float32))
    height, (_, x, y, _) = env.unwrapped.data.qpos[2], env.unwrapped.data.qpos[3:7]
    assert fell
    assert height < SPINE[0] or 1 - 2 * (x**2 + y**2) < SPINE[1]


def test_bare_observation():
    env = gymnasium.make(BARE)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(5):
        observation = env.step(env.action_space.sample())[0]
    data = env.unwrapped.data
    angles, speeds, torques, orientation = np.split(observation, [8, 16, 24])
    assert angles.tolist() == [data.joint(name).qpos[0] for name in MOTORS]
    assert speeds.tolist() == [data.joint(name).qvel[0] for name in MOTORS]
    assert torques.tolist() == [data.actuator(name).force[0] for name in MOTORS]
    assert orientation == pytest.approx([*data.qpos[4:7], data.qpos[3]], rel=1e-12)


def test_modulated_observation():
    env = gymnasium.make(PMTG, desired_speed=0.7)
    first, _ = env.reset(seed=0)
    assert first[4:].tolist() == [1.0, 0.0, 0.7]
    env.unwrapped.data.qpos[3:7] = [np.cos(0.1), np.sin(0.1), 0, 0]
    assert env.unwrapped._get_obs()[:2] == pytest.approx([0.2, 0.0])
    env.unwrapped.data.qpos[3:7] = [np.cos(0.1), 0, np.sin(0.1), 0]
    assert env.unwrapped._get_obs()[:2] == pytest.approx([0.0, 0.2])
    env.unwrapped.data.qvel[:6] = [1, 2, 3, 4, 5, 6]  # along x, y, z, then about them
    assert env.unwrapped._get_obs()[2:4].tolist() == [4.0, 5.0]


def test_actions_are_normalised():
    assert denormalized(-np.ones(5)) == pytest.approx((2.0, 0.0, -0.5, -0.5, 0.2))
    assert denormalized(np.ones(5)) == pytest.approx((4.0, 1.5, 1.0, 1.0, 5.0))
    assert denormalized(np.zeros(5)) == pytest.approx((3.0, 0.75, 0.25, 0.25, 2.6))


@pytest.mark.parametrize("env_id", BOTH)
def test_actions_beyond_the_bounds_are_clipped(env_id):
    env, other = gymnasium.make(env_id), gymnasium.make(env_id)
    env.reset(seed=0), other.reset(seed=0)
    ones = np.ones(env.action_space.shape, dtype=np.float32)
    for _ in range(3):
        assert np.array_equal(env.step(5 * ones)[0], other.step(ones)[0])


@pytest.mark.parametrize("env_id", BOTH)
def test_seeds_and_copies_repeat_an_episode(env_id):
    env = gymnasium.make(env_id).unwrapped
    copied = pickle.loads(pickle.dumps(env))
    action = np.full(env.action_space.shape, 0.3, dtype=np.float32)
    for seed in (4, 5, 4):
        assert np.array_equal(env.reset(seed=seed)[0], copied.reset(seed=seed)[0])
        for _ in range(5):
            assert np.array_equal(env.step(action)[0], copied.step(action)[0])
    ends = [env.reset(seed=seed) and walk(env, [action] * 5)[0].sum() for seed in (4, 5)]
    assert ends[0] != ends[1]


def test_without_noise_all_starts_are_one():
    env = gymnasium.make(BARE, reset_noise_scale=0.0)
    assert np.array_equal(env.reset(seed=1)[0], env.reset(seed=2)[0])


def test_unknown_gait():
    with pytest.raises(StructuredLayersError, match="gait must be one of walk, .*got 'gallop'"):
        gymnasium.make(PMTG, gait="gallop")


@pytest.mark.parametrize("env_id", BOTH)
@pytest.mark.parametrize(
    ("height", "tilt", "falls"),
    [(0.131, 0, False), (0.129, 0, True), (0.2, 0.55, False), (0.2, 0.56, True)],
)
def test_what_counts_as_a_fall(env_id, height, tilt, falls, monkeypatch):
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    monkeypatch.setattr(env, "do_simulation", lambda targets, frame_skip: None)
    env.data.qpos[2:7] = [height, np.cos(tilt / 2), np.sin(tilt / 2), 0, 0]
    assert (np.cos(tilt) < SPINE[1] or height < SPINE[0]) == falls
    assert env.step(np.zeros(env.action_space.shape))[2] is falls


@pytest.mark.parametrize(("env_id", "size"), [(BARE, 8), (PMTG, 13)])
def test_actions_of_another_shape(env_id, size):
    env = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    with pytest.raises(StructuredLayersError, match=rf"shape \({size},\), got \(3,\)"):
        env.step(np.zeros(3))


WRONG = [
    *({"frame_skip": value} for value in (0, -1, 2.5, 2**31, True, "5", 10**400)),
    *({"reset_noise_scale": value} for value in (-0.1, np.nan, np.inf, "5", None, 10**400)),
]


@pytest.mark.parametrize("arguments", WRONG)
@pytest.mark.parametrize("env_id", BOTH)
def test_wrong_arguments(env_id, arguments):
    with pytest.raises(StructuredLayersError, match=f"{next(iter(arguments))} must be"):
        make_simulator(env_id, env_config=arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"gait": []}, {"gait": None}, {"desired_speed": np.nan}, {"desired_speed": "fast"}],
)
def test_wrong_arguments_of_the_generator(arguments):
    with pytest.raises(StructuredLayersError, match=f"{next(iter(arguments))} must be"):
        gymnasium.make(PMTG, **arguments)


def test_numbers_of_numpy_are_numbers():
    env = gymnasium.make(PMTG, frame_skip=np.int64(3), desired_speed=np.float32(0.5))
    assert env.reset(seed=0)[0][6] == 0.5 and env.unwrapped.dt == pytest.approx(0.003)
