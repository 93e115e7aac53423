"""MujocoSimulator equals Gymnasium's own environments bit for bit, whatever their arguments."""

import inspect
import warnings
from dataclasses import fields

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.registration import load_env_creator
from simulator_rows import assert_same_rows, gymnasium_rows, random_actions, simulator_rows

from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.simulators import TASKS, GymnasiumSimulator, MujocoSimulator
from structured_layers.integrations.simulators.arguments import CAMERA
from structured_layers.integrations.simulators.tasks.models import ASSETS

GYMNASIUMS = [env_id for env_id in TASKS if "/" not in env_id]
NUM_STEPS = 1010  # over the time limit of 1,000
SEEDS = (3, 1234, 2**40 + 7)
FALLING = ["Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"]
FALLING += ["InvertedPendulum-v5", "InvertedDoublePendulum-v5"]

NO_FORCES = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0}
SHOWN = {"exclude_current_positions_from_observation": False}
ARGUMENTS = [
    ("Swimmer-v5", {"forward_reward_weight": 3, "ctrl_cost_weight": 0.1, "frame_skip": 2, **SHOWN}),
    ("Swimmer-v5", {"reset_noise_scale": 0, "max_episode_steps": 7}),
    ("Reacher-v5", {"reward_dist_weight": 2.5, "reward_control_weight": 0.3, "frame_skip": 3}),
    ("Hopper-v5", {"forward_reward_weight": 0.3, "ctrl_cost_weight": 0.7, "healthy_reward": 2}),
    ("Hopper-v5", {"terminate_when_unhealthy": False, "reset_noise_scale": 0.1, **SHOWN}),
    ("Hopper-v5", {"healthy_state_range": [-3, 3], "healthy_angle_range": [-0.1, 0.3]}),
    ("Hopper-v5", {"healthy_z_range": [0.9, 1.24], "frame_skip": 1}),
    ("HalfCheetah-v5", {"forward_reward_weight": -1, "ctrl_cost_weight": 2, "frame_skip": 3}),
    ("HalfCheetah-v5", {"reset_noise_scale": 0.5, "max_episode_steps": 33, **SHOWN}),
    ("Walker2d-v5", {"forward_reward_weight": 0.3, "ctrl_cost_weight": 0.7, "healthy_reward": 2}),
    ("Walker2d-v5", {"terminate_when_unhealthy": False, "reset_noise_scale": 0.1, **SHOWN}),
    ("Walker2d-v5", {"healthy_z_range": [0.5, 1.3], "healthy_angle_range": [-0.5, 0.2]}),
    ("Walker2d-v5", {"frame_skip": 2}),
    ("Pusher-v5", {"reward_near_weight": 0.1, "reward_dist_weight": 2, "frame_skip": 2}),
    ("Pusher-v5", {"reward_control_weight": 1.7}),
    ("Ant-v5", NO_FORCES),
    ("Ant-v5", {"include_cfrc_ext_in_observation": False}),
    ("Ant-v5", {"contact_cost_weight": 0.0, "main_body": "torso", "healthy_reward": 0.1}),
    ("Ant-v5", {"contact_force_range": [-20, 7.5], "contact_cost_weight": 0.01, "main_body": 4}),
    ("Ant-v5", {"terminate_when_unhealthy": False, "frame_skip": 3, **SHOWN}),
    ("Ant-v5", {"healthy_z_range": [0.4, 0.8], "forward_reward_weight": 2, "ctrl_cost_weight": 1}),
    ("Ant-v5", {"reset_noise_scale": 0.02, **NO_FORCES, **SHOWN}),
    ("Humanoid-v5", {"forward_reward_weight": 2, "ctrl_cost_weight": 0.3, "healthy_reward": 1}),
    ("Humanoid-v5", {"contact_cost_weight": 1e-3, "contact_cost_range": [0.5, 0.6], **SHOWN}),
    ("Humanoid-v5", {"contact_cost_range": [0.2, 10.0], **NO_FORCES}),
    ("Humanoid-v5", {"include_cinert_in_observation": False, "healthy_z_range": [1.3, 1.5]}),
    ("Humanoid-v5", {"include_cvel_in_observation": False, "terminate_when_unhealthy": False}),
    ("Humanoid-v5", {"include_qfrc_actuator_in_observation": False, "frame_skip": 2}),
    ("Humanoid-v5", {"include_cfrc_ext_in_observation": False, "reset_noise_scale": 0.1}),
    ("InvertedPendulum-v5", {"reset_noise_scale": 0.15, "frame_skip": 1}),
    ("InvertedDoublePendulum-v5", {"reset_noise_scale": 0.3, "frame_skip": 2}),
    ("InvertedDoublePendulum-v5", {"healthy_reward": 3, "max_episode_steps": 4}),
]


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    """Gymnasium's own HalfCheetah makes MuJoCo write a log into the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("env_id", GYMNASIUMS)
def test_free_running_equals_gymnasium_bit_for_bit(env_id):
    actions = [random_actions(env_id, slot, NUM_STEPS) for slot in range(len(SEEDS))]
    with MujocoSimulator(env_id, capacity=4) as simulator:
        rows = simulator_rows(simulator, SEEDS, actions, leaving=(2, 400))
    for slot, seed in enumerate(SEEDS):
        steps = 400 if slot == 2 else NUM_STEPS
        assert_same_rows(rows[slot], gymnasium_rows(env_id, seed, actions[slot][:steps]))


@pytest.mark.parametrize("env_id", FALLING)
def test_random_actions_end_episodes_early(env_id):
    """So that the comparisons here cover termination and resets in the middle of a batch."""
    env_config = {"healthy_z_range": [0.4, 0.8]} if env_id == "Ant-v5" else {}
    rows = gymnasium_rows(env_id, SEEDS[0], random_actions(env_id, 0, 120), **env_config)
    assert sum(row[3] for row in rows) > 1


@pytest.mark.parametrize("env_id", FALLING)
def test_still_policy_equals_gymnasium(env_id):
    """Small actions make longer episodes than random ones."""
    actions = random_actions(env_id, 5, 200) * np.float32(0.05)
    with MujocoSimulator(env_id, capacity=1) as simulator:
        (rows,) = simulator_rows(simulator, [11], [actions])
    assert_same_rows(rows, gymnasium_rows(env_id, 11, actions))


@pytest.mark.parametrize(("env_id", "env_config"), ARGUMENTS)
def test_arguments_equal_gymnasiums_bit_for_bit(env_id, env_config):
    actions = [random_actions(env_id, slot, 120) for slot in range(2)]
    with MujocoSimulator(env_id, capacity=2, env_config=env_config) as simulator:
        rows = simulator_rows(simulator, SEEDS[:2], actions)
    for slot in range(2):
        expected = gymnasium_rows(env_id, SEEDS[slot], actions[slot], **env_config)
        assert_same_rows(rows[slot], expected)


def test_numbers_of_numpy_are_numbers():
    env_config = {
        "ctrl_cost_weight": np.float32(0.1),
        "frame_skip": np.int64(2),
        "terminate_when_unhealthy": np.bool_(False),
        "healthy_z_range": (np.float64(0.7), np.float32(2)),
    }
    actions = random_actions("Hopper-v5", 0, 5)
    expected = gymnasium_rows("Hopper-v5", 3, actions, max_episode_steps=5, **env_config)
    env_config["max_episode_steps"] = np.int32(5)
    for kind in (MujocoSimulator, GymnasiumSimulator):
        with kind("Hopper-v5", 1, env_config=env_config) as simulator:
            (rows,) = simulator_rows(simulator, [3], [actions])
        assert_same_rows(rows, expected)


def test_every_argument_is_compared():
    for env_id in GYMNASIUMS:
        used = {name for case, config in ARGUMENTS if case == env_id for name in config}
        names = {field.name for field in fields(TASKS[env_id])} - {"xml_file"}
        assert names <= used, env_id


@pytest.mark.parametrize("env_id", GYMNASIUMS)
def test_a_task_has_gymnasiums_arguments_and_defaults(env_id):
    creator = load_env_creator(gymnasium.spec(env_id).entry_point)
    theirs = {
        parameter.name: parameter.default
        for parameter in inspect.signature(creator).parameters.values()
        if parameter.name not in CAMERA and parameter.kind is not parameter.VAR_KEYWORD
    }
    assert {field.name: field.default for field in fields(TASKS[env_id])} == theirs
    assert TASKS[env_id].time_limit == gymnasium.spec(env_id).max_episode_steps
    assert TASKS[env_id].entry_point == gymnasium.spec(env_id).entry_point


def changed_copy(env_id, path):
    """A model like the task's own with half the time step and other gravity."""
    spec = mujoco.MjSpec.from_file(str(ASSETS / TASKS[env_id]().xml_file))
    spec.option.timestep *= 0.5
    spec.option.gravity = (0.1, 0.2, -5.0)
    with warnings.catch_warnings():  # that HalfCheetah's model uses something deprecated
        warnings.simplefilter("ignore")
        path.write_text(spec.to_xml())
    return str(path)


@pytest.mark.parametrize("env_id", GYMNASIUMS)
def test_a_model_of_ones_own_equals_gymnasium(env_id, tmp_path):
    env_config = {"xml_file": changed_copy(env_id, tmp_path / "changed.xml")}
    actions = random_actions(env_id, 0, 60)
    with MujocoSimulator(env_id, capacity=1, env_config=env_config) as simulator:
        (rows,) = simulator_rows(simulator, [8], [actions])
        (own,) = simulator_rows(MujocoSimulator(env_id, capacity=1), [8], [actions])
    assert_same_rows(rows, gymnasium_rows(env_id, 8, actions, **env_config))
    assert not np.array_equal(rows[1][0], own[1][0])


def test_a_model_beside_the_working_directory_is_found(tmp_path):
    changed_copy("Swimmer-v5", tmp_path / "mine.xml")
    simulator = MujocoSimulator("Swimmer-v5", 1, env_config={"xml_file": "./mine.xml"})
    assert np.isfinite(simulator.reset([0], [1])).all()


WRONG = [
    ("Hopper-v5", {"forward_weight": 2}, "no argument 'forward_weight'.*forward_reward_weight"),
    ("Hopper-v5", {"render_mode": "human"}, "must not contain render_mode: .* draws nothing"),
    ("Hopper-v5", {"camera_id": 1, "width": 9}, "must not contain width, camera_id"),
    ("Hopper-v5", {"default_camera_config": {}}, "must not contain default_camera_config"),
    ("Hopper-v5", {"frame_skip": 0}, "frame_skip of Hopper-v5 must be an integer of at least 1"),
    ("Hopper-v5", {"frame_skip": 2.0}, r"must be an integer of at least 1 .*, got 2.0 \(float\)"),
    ("Hopper-v5", {"terminate_when_unhealthy": 0}, r"must be true or false, got 0 \(int\)"),
    ("Hopper-v5", {"healthy_reward": "1"}, r"must be a finite number, got '1' \(str\)"),
    ("Hopper-v5", {"healthy_reward": True}, "must be a finite number, got True"),
    ("Hopper-v5", {"healthy_reward": float("nan")}, "must be a finite number, got nan"),
    ("Hopper-v5", {"healthy_z_range": 0.7}, "must be a pair of numbers, got 0.7"),
    ("Hopper-v5", {"healthy_z_range": [0.7, 1, 2]}, "must be a pair of numbers"),
    ("Hopper-v5", {"max_episode_steps": -1}, "max_episode_steps .* at least 1, got -1"),
    ("Hopper-v5", {"xml_file": "nothing.xml"}, "'nothing.xml' does not exist: .*nothing.xml"),
    ("Hopper-v5", {"xml_file": "./nothing.xml"}, "'./nothing.xml' does not exist"),
    ("Hopper-v5", {"xml_file": 5}, "xml_file of Hopper-v5 must be a string, got 5"),
    ("Reacher-v5", {"xml_file": "swimmer.xml"}, "does not fit Reacher-v5: .*fingertip"),
    ("InvertedPendulum-v5", {"xml_file": "hopper.xml"}, "it gives 12 observations, not 4"),
    ("InvertedDoublePendulum-v5", {"xml_file": "inverted_pendulum.xml"}, "does not fit"),
    ("Ant-v5", {"main_body": "head"}, "does not fit Ant-v5: .*head"),
    ("Ant-v5", {"main_body": 99}, "does not fit Ant-v5"),
    ("Ant-v5", {"main_body": -1}, "main_body of Ant-v5 must be the number or the name"),
    ("Ant-v5", {"main_body": 2**40}, "main_body of Ant-v5 must be the number or the name"),
    ("Hopper-v5", {"healthy_reward": 10**400}, "must be a finite number, got 1000"),
    ("Hopper-v5", {"healthy_reward": 10**5000}, "must be a finite number, got a very long number"),
    ("Hopper-v5", {"healthy_z_range": [0, 10**400]}, "must be a pair of numbers, got"),
    ("Hopper-v5", {"frame_skip": 2**31}, r"below 2\*\*31, got 2147483648"),
    ("Hopper-v5", {"reset_noise_scale": -0.1}, "must be a finite number of at least 0, got -0.1"),
    ("Hopper-v5", {"xml_file": "~no_such_user_at_all/a.xml"}, "does not exist"),
    ("Ant-v5", {"main_body": 1.0}, "main_body of Ant-v5 must be the number or the name"),
]


@pytest.mark.parametrize(("env_id", "env_config", "message"), WRONG)
def test_wrong_arguments(env_id, env_config, message):
    with pytest.raises(StructuredLayersError, match=message):
        MujocoSimulator(env_id, env_config=env_config)


def test_a_broken_model_says_what_mujoco_says(tmp_path):
    (tmp_path / "broken.xml").write_text("<mujoco><worldbody><bodi/></worldbody></mujoco>")
    with pytest.raises(StructuredLayersError, match="'./broken.xml' cannot be compiled: XML Error"):
        MujocoSimulator("Swimmer-v5", env_config={"xml_file": "./broken.xml"})
