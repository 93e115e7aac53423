"""A warning of MuJoCo ends its episode with what was earned before, and only that one."""

import mujoco
import numpy as np
import pytest
from simulator_rows import random_actions

from structured_layers.integrations.simulators import MujocoSimulator
from structured_layers.integrations.simulators.tasks.models import ASSETS

ENV = "HalfCheetah-v5"


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    """What MuJoCo logs would be found there."""
    monkeypatch.chdir(tmp_path)


def assert_warned(result, row):
    assert result.warned[row] and result.terminated[row] and not result.truncated[row]
    assert result.rewards[row] == result.alive_bonus[row] == 0.0
    assert not result.observations[row].any()


@pytest.mark.parametrize("field", ["qpos", "qvel"])
def test_a_huge_state_ends_its_episode_only(field, tmp_path, capfd):
    actions = random_actions(ENV, 0, 3)
    expected, simulator = MujocoSimulator(ENV, capacity=3), MujocoSimulator(ENV, capacity=3)
    for each in (expected, simulator):
        each.reset([0, 1, 2], [1, 2, 3])
    reference = expected.step([0, 1, 2], actions)
    capfd.readouterr()
    getattr(simulator._episodes[1], field)[3] = 1e15
    result = simulator.step([0, 1, 2], actions)
    assert_warned(result, 1)
    assert simulator.last_error is None
    for row in (0, 2):
        for ours, theirs in zip(result, reference, strict=True):
            assert np.array_equal(ours[row], theirs[row])
    assert capfd.readouterr().err == ""
    assert "unstable" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_the_slot_is_as_good_as_new_after_a_reset():
    actions = random_actions(ENV, 0, 2)
    simulator = MujocoSimulator(ENV, capacity=1)
    simulator.reset([0], [1])
    simulator._episodes[0].qvel[0] = np.inf
    assert_warned(simulator.step([0], actions[:1]), 0)
    first = simulator.reset([0], [1])
    result = simulator.step([0], actions[:1])
    fresh = MujocoSimulator(ENV, capacity=1)
    assert np.array_equal(first, fresh.reset([0], [1]))
    for ours, theirs in zip(result, fresh.step([0], actions[:1]), strict=True):
        assert np.array_equal(ours, theirs)
    assert not result.warned.any()


def test_physics_that_explode_by_themselves(tmp_path):
    """A time step that is far too long for stiff joints gives accelerations that are not finite."""
    spec = mujoco.MjSpec.from_file(str(ASSETS / "hopper.xml"))
    spec.option.timestep = 0.2
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    for joint in spec.joints:
        joint.stiffness, joint.damping = [1e6, 0, 0], [0, 0, 0]
    (tmp_path / "stiff.xml").write_text(spec.to_xml())
    config = {"xml_file": "./stiff.xml", "terminate_when_unhealthy": False}
    simulator = MujocoSimulator("Hopper-v5", capacity=1, env_config=config)
    simulator.reset([0], [1])
    for action in random_actions("Hopper-v5", 0, 200):
        result = simulator.step([0], action[None])
        if result.terminated[0]:
            break
    assert_warned(result, 0)


def test_mujoco_gets_its_handler_back():
    handler = mujoco.get_mju_user_warning()
    simulator = MujocoSimulator(ENV, capacity=1)
    simulator.reset([0], [1])
    simulator.step([0], random_actions(ENV, 0, 1))
    assert mujoco.get_mju_user_warning() is handler


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v5", "Humanoid-v5"])
def test_a_control_that_is_not_finite_fails_where_no_reward_says_so(env_id):
    simulator = MujocoSimulator(env_id, capacity=2)
    simulator.reset([0, 1], [1, 2])
    actions = np.zeros((2, *simulator.action_space.shape), dtype=np.float32)
    actions[1] = np.nan
    result = simulator.step([0, 1], actions)
    assert np.isnan(result.rewards[1]) and result.terminated[1] and not result.warned.any()
    assert np.isfinite(result.rewards[0]) and "not finite" in simulator.last_error


def test_other_warnings_are_passed_on_once(monkeypatch):
    simulator = MujocoSimulator("Swimmer-v5", capacity=1)
    simulator.reset([0], [1])

    def speaks(model, data, nstep, mj_step=mujoco.mj_step):
        mujoco.get_mju_user_warning()("Contact buffer is full. (ncon = 5). Time = 0.0400.")
        mj_step(model, data, nstep)

    monkeypatch.setattr(mujoco, "mj_step", speaks)
    action = np.zeros((1, 2), dtype=np.float32)
    with pytest.warns(RuntimeWarning, match="MuJoCo says of Swimmer-v5: Contact buffer is full"):
        simulator.step([0], action)
    result = simulator.step([0], action)  # a second warning would be an error
    assert not result.warned.any() and np.isfinite(result.rewards).all()
