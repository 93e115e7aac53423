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
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy
from structured_layers.integrations.evotorch.presets import preset_settings
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.integrations.simulators import (
    GymnasiumSimulator,
    MujocoSimulator,
    VectorizedSimulator,
    make_simulator,
)

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


def test_an_id_that_was_registered_anew_is_gymnasiums(monkeypatch):
    changed = dataclasses.replace(gymnasium.spec("Swimmer-v5"), kwargs={"reset_noise_scale": 0.0})
    monkeypatch.setitem(gymnasium.registry, "Swimmer-v5", changed)
    with make_simulator("Swimmer-v5") as simulator:
        assert type(simulator) is GymnasiumSimulator
    with pytest.raises(StructuredLayersError, match="registered as another environment"):
        make_simulator("Swimmer-v5", simulator="mujoco")
