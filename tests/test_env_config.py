"""Arguments of environments, from the command line to the saved policy, and the fallback."""

import dataclasses
import json
import os
import warnings

import gymnasium
import numpy as np
import pytest
import torch

from structured_layers import load_policy, mlp
from structured_layers.errors import CheckpointError, NoNativeTaskWarning, StructuredLayersError
from structured_layers.integrations.cli.main import main
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy, evaluation
from structured_layers.integrations.evotorch.presets import preset_settings
from structured_layers.integrations.evotorch.rollouts import rollout
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.integrations.simulators import (
    GymnasiumSimulator,
    MujocoSimulator,
    VectorizedSimulator,
    make_simulator,
)
from structured_layers.integrations.simulators.making import native_simulator

SHORT = {"forward_reward_weight": 2.0, "max_episode_steps": 20}
SHOWN = {"exclude_current_positions_from_observation": False}


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("env", "env_config"),
    [
        ("Swimmer-v5", SHORT),
        ("Pendulum-v1", {"g": 3.0, "max_episode_steps": 20}),
    ],
)
def test_native_and_gymnasium_honour_the_same_arguments(env, env_config):
    native = make_simulator(env, env_config=env_config)
    theirs = make_simulator(env, simulator="gymnasium", env_config=env_config)
    assert isinstance(native, MujocoSimulator | VectorizedSimulator)
    assert type(theirs) is GymnasiumSimulator
    assert np.array_equal(native.reset([0], [4]), theirs.reset([0], [4]))
    action = native.action_space.high[None] / 2
    for step in range(20):
        ours, expected = native.step([0], action), theirs.step([0], action)
        for a, b in zip(ours, expected, strict=True):
            assert np.array_equal(a, b)
        assert ours.truncated[0] == (step == 19)


def test_a_callable_gets_its_arguments():
    def make(length=5):
        return gymnasium.make("CartPole-v1", max_episode_steps=length)

    with make_simulator(make, env_config={"length": 7}) as simulator:
        assert simulator.time_limit == 7
    with pytest.raises(StructuredLayersError, match="unexpected keyword argument 'size'"):
        make_simulator(make, env_config={"size": 7})


@pytest.mark.parametrize(
    ("env", "env_config", "message"),
    [
        ("CartPole-v1", {"gravity": 1}, "no argument 'gravity'; env_config may contain .*sutton"),
        ("CartPole-v1", {"render_mode": "human"}, "draws nothing"),
        ("CartPole-v1", {"disable_env_checker": True}, "no argument 'disable_env_checker'"),
        ("HumanoidStandup-v5", {"no_such": 1}, "no_such"),
    ],
)
def test_gymnasiums_own_environments_refuse_wrong_arguments(env, env_config, message):
    with pytest.raises(StructuredLayersError, match=message):
        make_simulator(env, env_config=env_config)


def test_problem_and_policy_keep_the_arguments():
    problem = PolicyProblem("Swimmer-v5", mlp(10, [], 2), env_config={**SHORT, **SHOWN}, seed=0)
    assert problem.episode_length == 20 and problem.observation_size == 10
    plain = PolicyProblem(
        "Swimmer-v5", mlp(10, [], 2), env_config={"max_episode_steps": 20} | SHOWN, seed=0
    )
    batches = [p.generate_batch(1) for p in (problem, plain)]
    for batch, each in zip(batches, (problem, plain), strict=True):
        batch.set_values(torch.ones(1, each.solution_length) * 0.3)
        each.evaluate(batch)
    doubled, once = (float(batch.evals[0, 0]) for batch in batches)
    assert doubled > 1.9 * once > 0  # but for the control cost, which is small
    policy = problem.to_policy(batches[0].values[0])
    assert policy.env_config == {**SHORT, **SHOWN}
    assert len(evaluate_policy(policy, num_episodes=2)) == 2
    with pytest.raises(StructuredLayersError, match="takes 10 observations, .* gives 8"):
        evaluate_policy(policy, "Swimmer-v5")


def test_a_run_trains_with_its_arguments_and_goes_on_with_them(tmp_path, capsys):
    arguments = ["train", "Swimmer-v5", "--hidden", "0", "--structure", "dense", "--popsize", "4"]
    arguments += ["--total-steps", "200", "--env-config", json.dumps({**SHORT, **SHOWN})]
    assert main([*arguments, "--out", "run"]) == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert settings["env_config"] == {**SHORT, **SHOWN}
    assert Run.resume("run").problem.env_config == {**SHORT, **SHOWN}
    policy = load_policy("run")
    assert policy.env_config == {**SHORT, **SHOWN} and policy.observation_size == 10
    capsys.readouterr()
    assert main(["evaluate", "run", "--episodes", "2"]) == 0
    first = capsys.readouterr().out
    other = json.dumps({**SHORT, **SHOWN, "forward_reward_weight": -7.0})
    assert main(["evaluate", "run", "--episodes", "2", "--env-config", other]) == 0
    assert capsys.readouterr().out != first


def test_presets_see_the_arguments():
    settings = preset_settings("stst", "Swimmer-v5", {"env_config": SHOWN})
    assert settings["env_config"] == SHOWN and settings["hidden"]
    with pytest.raises(StructuredLayersError, match="no argument 'forward'"):
        preset_settings("stst", "Swimmer-v5", {"env_config": {"forward": 2}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forward=2", "--env-config must be a JSON object such as"),
        ("[1]", "--env-config must be a JSON object, got"),
        ('{"forward": 2}', "Swimmer-v5 has no argument 'forward'"),
        ('{"xml_file": "none.xml"}', "'none.xml' does not exist"),
        ('{"reset_noise_scale": Infinity}', "for infinity write 1e308"),
    ],
)
def test_command_line_refuses_wrong_arguments(text, message, capsys, tmp_path):
    assert main(["train", "Swimmer-v5", "--env-config", text, "--out", "run"]) == 2
    assert message in capsys.readouterr().err
    assert not os.listdir(tmp_path)


def test_settings_of_the_wrong_type_are_refused():
    settings = RunConfig("Swimmer-v5").to_json()
    assert RunConfig.from_json(settings).env_config == {}
    with pytest.raises(CheckpointError, match="env_config"):
        RunConfig.from_json({**settings, "env_config": [1]})
    with pytest.raises(StructuredLayersError, match="must be an object of arguments by name"):
        RunConfig("Swimmer-v5", env_config=[1])


def test_an_id_without_a_native_task_says_so_once():
    network = mlp(4, [], 2)
    with pytest.warns(NoNativeTaskWarning, match="CartPole-v1 has no native task") as caught:
        problem = PolicyProblem("CartPole-v1", network, seed=0)
        problem.evaluate(problem.generate_batch(2))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_nothing_is_said_where_nothing_falls_back():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PolicyProblem("CartPole-v1", mlp(4, [], 2), simulator="gymnasium")
        PolicyProblem(lambda: gymnasium.make("CartPole-v1"), mlp(4, [], 2))
        PolicyProblem("Pendulum-v1", mlp(3, [], 1))
        PolicyProblem("Swimmer-v5", mlp(8, [], 2))


WRAPPER = gymnasium.envs.registration.WrapperSpec(
    "NormalizeReward", "gymnasium.wrappers:NormalizeReward", {}
)


@pytest.mark.parametrize("env", ["Swimmer-v5", "Pendulum-v1", "structured_layers/Striker-v0"])
@pytest.mark.parametrize(
    "change",
    [
        {"kwargs": {"frame_skip": 3}},
        {"max_episode_steps": 77},
        {"entry_point": "gymnasium.envs.classic_control.cartpole:CartPoleEnv"},
        {"entry_point": "gymnasium.envs.mujoco.hopper_v5:HopperEnv"},
        {"entry_point": "structured_layers.integrations.envs.thrower:ThrowerEnv"},
        {"additional_wrappers": (WRAPPER,)},
    ],
)
def test_an_id_that_was_registered_anew_is_gymnasiums(env, change, monkeypatch):
    assert native_simulator(env) is not None
    changed = dataclasses.replace(gymnasium.spec(env), **change)
    monkeypatch.setitem(gymnasium.registry, env, changed)
    assert native_simulator(env) is None
    kind = "numpy" if env == "Pendulum-v1" else "mujoco"
    with pytest.raises(StructuredLayersError, match="registered as another environment"):
        make_simulator(env, simulator=kind)


def test_another_time_limit_is_kept(monkeypatch):
    changed = dataclasses.replace(gymnasium.spec("Swimmer-v5"), max_episode_steps=77)
    monkeypatch.setitem(gymnasium.registry, "Swimmer-v5", changed)
    with make_simulator("Swimmer-v5") as simulator:
        assert type(simulator) is GymnasiumSimulator and simulator.time_limit == 77


@pytest.mark.parametrize(
    ("env_config", "asked", "steps"),
    [
        ({"max_episode_steps": 1500}, None, 1500),
        ({"max_episode_steps": 1500}, 30, 30),
        ({}, None, 1000),
    ],
)
def test_a_longer_time_limit_makes_longer_episodes(env_config, asked, steps):
    problem = PolicyProblem(
        "Swimmer-v5", mlp(8, [], 2), env_config=env_config, episode_length=asked, seed=0
    )
    assert problem.episode_length == steps
    batch = problem.generate_batch(1)
    problem.evaluate(batch)
    assert problem.env_steps == steps


def test_evaluations_are_as_long_as_training(monkeypatch):
    lengths = []

    def watched(*arguments, episode_length, **others):
        lengths.append(episode_length)
        return rollout(*arguments, episode_length=3, **others)

    monkeypatch.setattr(evaluation, "rollout", watched)
    for env_config in ({"max_episode_steps": 1500}, {"max_episode_steps": 20}, {}):
        problem = PolicyProblem("Swimmer-v5", mlp(8, [], 2), env_config=env_config, seed=0)
        policy = problem.to_policy(torch.zeros(problem.solution_length))
        evaluate_policy(policy, num_episodes=1)
    assert lengths == [1500, 20, 1000]


def test_numbers_of_numpy_become_pythons():
    env_config = {"healthy_z_range": [np.float64(0.7), np.float32(2)], "frame_skip": np.int64(2)}
    problem = PolicyProblem("Hopper-v5", mlp(11, [], 3), env_config=env_config, seed=0)
    assert json.loads(json.dumps(problem.env_config)) == {
        "healthy_z_range": [0.7, 2.0],
        "frame_skip": 2,
    }


@pytest.mark.parametrize("env_config", [[1], "ab", {1: 2}])
def test_a_problem_needs_named_arguments(env_config):
    with pytest.raises(StructuredLayersError, match="env_config must be a mapping"):
        PolicyProblem("Hopper-v5", mlp(11, [], 3), env_config=env_config)


@pytest.mark.parametrize("name", ["width", "camera_name", "default_camera_config"])
@pytest.mark.parametrize("kind", ["gymnasium", "mujoco"])
def test_what_only_draws_is_refused(name, kind):
    with pytest.raises(StructuredLayersError, match="draws nothing"):
        make_simulator("Swimmer-v5", simulator=kind, env_config={name: 3})


@pytest.mark.parametrize(
    ("env", "env_config"),
    [
        ("Minitaur-v0", {"frame_skip": -1}),
        ("Minitaur-v0", {"reset_noise_scale": -1}),
        ("MinitaurPMTG-v0", {"gait": []}),
        ("MinitaurPMTG-v0", {"desired_speed": "fast"}),
    ],
)
def test_a_wrong_value_makes_no_run(env, env_config, tmp_path, capsys):
    arguments = ["train", f"structured_layers/{env}", "--out", "run", "--hidden", "0"]
    arguments += ["--structure", "dense", "--env-config", json.dumps(env_config)]
    assert main(arguments) != 0
    assert f"{next(iter(env_config))} must be" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
