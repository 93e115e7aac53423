"""The command line, called in this process as a user would."""

import csv
import json
import os
import re
import shutil
import signal
import sys

import numpy as np
import pytest
from run_folders import assert_same_run, make_old, snapshot

from structured_layers import load_policy
from structured_layers.algorithms.augmented_random_search import ARS_SETTINGS
from structured_layers.integrations.cli import main
from structured_layers.integrations.cli.session import StopRequest
from structured_layers.integrations.cli.train import Train
from structured_layers.integrations.evotorch import run as run_module
from structured_layers.integrations.evotorch.run import Run

DRIFT, TROUBLED, HOPELESS = (f"drift_envs:{n}-v0" for n in ("Drift", "Troubled", "Hopeless"))
TINY = ["--popsize", "4", "--center-evaluations", "2", "--total-steps", "400"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def output_of(capsys, *args, code=0):
    """What a command printed on stdout, after a check of its exit code."""
    assert main(list(args)) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def error_of(capsys, *args):
    """The one line that a failing command wrote on stderr."""
    assert main(list(args)) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("env", "structure", "weights"),
    [
        ("Swimmer-v5", ["chromatic"], "8 of 16"),
        (DRIFT, ["dense"], "6 of 6"),
        (DRIFT, ["toeplitz"], "4 of 6"),
        (DRIFT, ["circulant"], "3 of 6"),
        (DRIFT, ["chromatic", "--num-colors", "2", "--controller", "random"], "2 of 6"),
        (
            DRIFT,
            ["chromatic", "--controller", "fixed", "--controller-population", "2"],
            "3 of 6",
        ),
        (DRIFT, ["edges", "--num-edges", "5"], "5 of 6"),
        (DRIFT, ["chromatic", "--num-edges", "5"], "3 on 5 of 6"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_train_evaluate_report(env, structure, weights, capsys, tmp_path):
    folder = tmp_path / "run"
    out = output_of(
        capsys,
        *("train", env, "--structure", *structure, "--hidden", "0"),
        *("--popsize", "2", "--center-evaluations", "1", "--total-steps", "3000"),
        *("--out", str(folder)),
    )
    assert f"generation 1  env steps {'3,000' if env == 'Swimmer-v5' else ''}" in out
    assert f"{weights} edges" in out
    assert re.search(r"biases +│ 0 ", out)
    assert re.search(r"compression +│ \d+\.\d% ", out)
    assert re.search(r"return over 20 fresh episodes +│ -?\d+\.\d ± \d+\.\d ", out)
    for picture in ("learning_curve", "weights"):
        assert str(folder / "report" / f"{picture}.png") in out
        assert (folder / "report" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    out = output_of(capsys, "evaluate", str(folder), "--episodes", "3")
    assert re.fullmatch(
        re.escape(env)
        + r": return -?\d+\.\d ± \d+\.\d \(min -?\d+\.\d, max -?\d+\.\d\) over 3 episodes",
        out.strip(),
    )
    shutil.rmtree(folder / "report")
    assert f"{weights} edges" in output_of(capsys, "report", str(folder))
    assert (folder / "report" / "weights.png").exists()


def test_discrete_actions_hidden_layers_and_the_default_folder(capsys, tmp_path):
    out = output_of(capsys, "train", "CartPole-v1", "--hidden", "5", "3", *TINY, "--output-bias")
    folder = tmp_path / "runs" / "CartPole-v1-chromatic-0"
    assert "4 of 41 edges" in out
    assert re.search(r"biases +│ 10 ", out)
    assert "runs/CartPole-v1-chromatic-0/policy" in out
    action, _ = load_policy(folder).predict(np.zeros(4))
    assert action in (0, 1)
    assert "CartPole-v1: return" in output_of(capsys, "evaluate", str(folder / "policy"))


def test_a_module_in_the_id_makes_a_plain_folder_name(capsys, tmp_path):
    output_of(capsys, "train", DRIFT, *TINY, "--seed", "3")
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["drift_envs-Drift-v0-chromatic-3"]


def test_options_reach_the_run(capsys, tmp_path):
    output_of(
        capsys,
        *("train", DRIFT, "--out", "run", "--hidden", "4", "--structure", "edges"),
        *("--num-edges", "6", "--skip", "--unit-activations", "tanh", "sin"),
        *("--controller", "regularized-evolution", "--num-observed", "3", "--phase-length", "2"),
        *("--num-elites", "1", "--paired-structures"),
        *("--controller-population", "9", "--output-bias", "--total-steps", "300"),
        *("--seed", "5", "--popsize", "6", "--center-evaluations", "3", "--stdev", "0.2"),
        *("--learning-rate", "0.3", "--optimizer", "clipup", "--ranking-method", "centered"),
        *("--no-observation-normalization", "--num-episodes", "2", "--checkpoint-every", "3"),
        *("--directions", "hadamard", "--num-top", "2", "--top-rule", "difference"),
        *("--baseline", "structure", "--weight-decay", "0.1", "--alive-bonus", "--zero-init"),
        *("--learning-rate-schedule", "cosine", "--learning-rate-final", "0.2"),
        *("--stdev-schedule", "linear", "--stdev-final", "0.5"),
    )
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"] == {
        "env": DRIFT,
        "env_config": {},
        "structure": "edges",
        "hidden": [4],
        "num_colors": None,
        "num_edges": 6,
        "edges_per_layer": None,
        "skip": True,
        "unit_activations": ["tanh", "sin"],
        "controller": "regularized-evolution",
        "controller_population": 9,
        "controller_algorithm": None,
        "num_mutations": None,
        "num_observed": 3,
        "phase_length": 2,
        "num_elites": 1,
        "paired_structures": True,
        "center_structures": "best",
        "cost": None,
        "cost_weight": None,
        "cost_limit": None,
        "target_edges": None,
        "target_exponents": None,
        "objective_shift": 0.0,
        "init_topologies": None,
        "top": None,
        "init_from": None,
        "init_vecnormalize": None,
        "dense_steps": 0,
        "dense_share": 1.0,
        "output_bias": True,
        "total_steps": 300,
        "seed": 5,
        "popsize": 6,
        "center_evaluations": 3,
        "stdev": 0.2,
        "learning_rate": 0.3,
        "optimizer": "clipup",
        "ranking_method": "centered",
        "observation_normalization": False,
        "num_episodes": 2,
        "estimator": "antithetic",
        "directions": "hadamard",
        "num_top": 2,
        "top_rule": "difference",
        "baseline": "structure",
        "slope": False,
        "weight_decay": 0.1,
        "learning_rate_schedule": "cosine",
        "learning_rate_final": 0.2,
        "stdev_schedule": "linear",
        "stdev_final": 0.5,
        "alive_bonus": True,
        "zero_init": True,
    }


@pytest.mark.parametrize(
    "options",
    [
        ["--estimator", "forward", "--directions", "orthogonal", "--slope", "--popsize", "5"],
        ["--estimator", "vanilla", "--directions", "coordinate", "--baseline", "mean"],
        ["--optimizer", "cmaes"],
    ],
    ids=lambda options: options[1],
)
def test_every_way_of_sensing_trains(options, capsys):
    args = ["--structure", "dense", "--hidden", "0", *TINY]
    output_of(capsys, "train", DRIFT, "--out", "run", *args, *options)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "ars-v1",
            {
                "structure": "dense",
                "hidden": [],
                "popsize": 8,
                "num_top": None,
                "stdev": 0.1,
                "learning_rate": pytest.approx(2 * 0.1 * 0.08),
                "optimizer": "sgd",
                "ranking_method": "std",
                "observation_normalization": False,
                "alive_bonus": False,
                "zero_init": True,
            },
        ),
        ("ars-v2-t", {"num_top": 1, "observation_normalization": True}),
        (
            "stst",
            {
                "structure": "toeplitz",
                "hidden": [41, 41],
                "stdev": 0.02,
                "learning_rate": 0.01,
                "optimizer": "adam",
                "ranking_method": "raw",
                "directions": "orthogonal",
                "observation_normalization": False,
                "alive_bonus": True,
                "zero_init": False,
            },
        ),
        ("stst-hadamard", {"hidden": [41, 41], "directions": "hadamard"}),
        ("stun", {"structure": "toeplitz", "hidden": [41, 41], "directions": "gaussian"}),
        ("unun", {"structure": "dense", "hidden": [32, 32], "directions": "gaussian"}),
    ],
)
def test_presets_are_the_published_settings(preset, expected):
    config = Train(env="Swimmer-v5", preset=preset)._config().to_json()
    assert {name: config[name] for name in expected} == expected


# ARS V2-t: N, b, α and ν as published.
PUBLISHED = {
    "Swimmer": (1, 1, 0.02, 0.01),
    "Hopper": (8, 4, 0.01, 0.025),
    "HalfCheetah": (32, 4, 0.02, 0.03),
    "Walker2d": (40, 30, 0.03, 0.025),
    "Ant": (60, 20, 0.015, 0.025),
    "Humanoid": (230, 230, 0.02, 0.0075),
}


@pytest.mark.parametrize("env", PUBLISHED)
def test_ars_takes_the_published_numbers_of_an_environment(env):
    config = Train(env=f"{env}-v5", preset="ars-v2-t")._config()
    pairs, top, alpha, noise = PUBLISHED[env]
    assert (config.popsize, config.num_top, config.stdev) == (2 * pairs, top, noise)
    assert config.learning_rate == pytest.approx(2 * noise * alpha)
    assert ARS_SETTINGS.keys() == PUBLISHED.keys()


def test_options_come_before_a_preset_and_its_folder_has_its_name(capsys, tmp_path):
    output_of(
        capsys, "train", DRIFT, "--preset", "ars-v2-t", "--popsize", "4", "--num-top", "1",
        "--stdev", "0.2", "--no-zero-init", "--hidden", "3", "--total-steps", "300",
    )  # fmt: skip
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name == "drift_envs-Drift-v0-ars-v2-t-0"
    config = json.loads((folder / "config.json").read_text())["config"]
    assert (config["popsize"], config["num_top"], config["stdev"]) == (4, 1, 0.2)
    assert (config["zero_init"], config["hidden"]) == (False, [3])


@pytest.mark.parametrize("rate", [None, 0.5])
@pytest.mark.parametrize("stdev", [None, 0.2])
def test_the_learning_rate_of_ars_is_its_step_size(rate, stdev):
    """α as published, whatever the noise ν is: ES has to take 2να."""
    config = Train(DRIFT, preset="ars-v2-t", learning_rate=rate, stdev=stdev)._config()
    assert config.stdev == (stdev or 0.03)
    assert config.learning_rate == pytest.approx(2 * config.stdev * (rate or 0.02))


def test_ars_follows_no_more_pairs_than_there_are():
    assert Train("HalfCheetah-v5", preset="ars-v2-t", popsize=4)._config().num_top == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["ars-v1", "--observation-normalization"],
            "--preset ars-v1 stands for --no-observation-normalization, and "
            "--observation-normalization contradicts it; leave one of the two out",
        ),
        (["ars-v2", "--no-observation-normalization"], "stands for --observation-normalization"),
        (["ars-v2-t", "--alive-bonus"], "stands for --no-alive-bonus, and --alive-bonus"),
        (["ars-v1", "--num-top", "1"], "stands for no --num-top, and --num-top 1 contradicts"),
        (["ars-v2", "--num-top", "1"], "stands for no --num-top"),
        (["ars-v1", "--optimizer", "adam"], "stands for --optimizer sgd, and --optimizer adam"),
        (["ars-v1", "--ranking-method", "raw"], "stands for --ranking-method std"),
        (["ars-v1", "--estimator", "forward"], "stands for --estimator antithetic"),
        (["ars-v1", "--directions", "hadamard"], "stands for --directions gaussian"),
        (["ars-v2-t", "--top-rule", "difference"], "stands for --top-rule max"),
        (["ars-v1", "--baseline", "mean"], "stands for no --baseline"),
        (["ars-v1", "--slope"], "stands for --no-slope, and --slope"),
        (["ars-v1", "--weight-decay", "0.1"], "stands for --weight-decay 0.0"),
        (["ars-v1", "--stdev-schedule", "linear"], "stands for --stdev-schedule constant"),
        (["ars-v1", "--learning-rate", "0"], "learning_rate must be a positive, finite number"),
        (["ars-v1", "--stdev", "-0.1"], "stdev must be a positive, finite number"),
        (["stst", "--no-alive-bonus"], "stands for --alive-bonus, and --no-alive-bonus"),
        (["stun", "--observation-normalization"], "stands for --no-observation-normalization"),
        (["stst", "--directions", "hadamard"], "stands for --directions orthogonal"),
        (["unun", "--structure", "toeplitz"], "stands for --structure dense"),
        (["stst", "--num-top", "3"], "stands for no --num-top"),
        (["stst", "--optimizer", "cmaes"], "stands for --optimizer adam"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_make_another_search_of_a_preset_are_refused(
    options, message, capsys, tmp_path
):
    assert message in error_of(capsys, "train", DRIFT, "--preset", *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["ars-v1", "--no-observation-normalization"], {"observation_normalization": False}),
        (["stst", "--zero-init"], {"zero_init": True}),
        (["stst", "--estimator", "forward"], {"estimator": "forward"}),
        (["stst", "--learning-rate", "0.5"], {"learning_rate": 0.5}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_leave_a_preset_what_it_is_are_taken(options, expected, capsys, tmp_path):
    output_of(
        capsys, "train", DRIFT, "--preset", *options, "--out", "run", "--popsize", "4",
        "--total-steps", "100",
    )  # fmt: skip
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert {name: config[name] for name in expected} == expected


@pytest.mark.parametrize("structure", ["dense", "toeplitz", "circulant", "chromatic", "edges"])
@pytest.mark.parametrize("hidden", [["0"], ["4", "4"]], ids=",".join)
def test_every_structure_with_every_depth(structure, hidden, capsys):
    edges = ["--num-edges", "5"] if structure == "edges" else []
    args = ["--structure", structure, *edges, "--hidden", *hidden, *TINY]
    out = output_of(capsys, "train", DRIFT, *args, "--out", "run")
    assert " edges" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["Swimer-v5"], "'Swimer-v5'; did you mean .*Swimmer-v"),
        (["Qwertz-v0"], "no environment is called 'Qwertz-v0'"),
        (["no_such_module:Env-v0"], "no_such_module"),
        (["drift_envs:Picture-v0"], "image"),
        ([DRIFT, "--num-colors", "0"], "num_colors must be .*at least 1|between 1 and"),
        ([DRIFT, "--num-colors", "-3"], "num_colors must be .*at least 1|between 1 and"),
        ([DRIFT, "--num-colors", "161"], "num_colors must be between 1 and 160, .*got 161"),
        ([DRIFT, "--structure", "toeplitz", "--num-colors", "4"], "num_colors goes with"),
        ([DRIFT, "--structure", "dense", "--controller", "fixed"], "controller goes with"),
        ([DRIFT, "--num-edges", "4", "--structure", "edge-mask"], "num_edges goes with"),
        ([DRIFT, "--num-edges", "161"], "num_edges must be .* from 1 to 160.*got 161"),
        ([DRIFT, "--num-colors", "1"], "nothing to search.*take more than one colour"),
        ([DRIFT, "--edges-per-layer", "9", "65"], "layer 2: edges_per_layer must be .* 64"),
        ([DRIFT, "--edges-per-layer", "9"], r"each of 2 layers keeps, got \[9\]"),
        ([DRIFT, "--edges-per-layer", "9", "9", "--num-edges", "9"], "leave one of them out"),
        ([DRIFT, "--unit-activations", "all", "relu"], "all stands alone, .* got all relu"),
        (
            [DRIFT, "--preset", "clustered", "--structure", "dense"],
            "the structure of --preset clustered must be one of chromatic, .* got 'dense'",
        ),
        (
            [DRIFT, "--structure", "edges", "--num-edges", "160", "--controller", "magnitude"],
            "num_edges must be .* less than all 160 edges",
        ),
        (
            [DRIFT, "--preset", "clustered", "--dense-share", "0.999"],
            "dense_share 0.999 leaves all 160 edges",
        ),
        (
            [DRIFT, "--structure", "edge-mask", "--target-edges", "161"],
            "target_edges must be less than all 160 edges",
        ),
        (
            [DRIFT, "--structure", "edge-mask", "--cost", "edges", "--cost-limit", "160"],
            "cost_limit must be less than all 160 edges",
        ),
        ([DRIFT, "--unit-activations", "gelu"], "activations must be among tanh, relu, .*'gelu'"),
        ([DRIFT, "--unit-activations", "all", "--hidden", "0"], "goes with hidden layers"),
        ([DRIFT, "--skip", "--hidden", "0"], "skip goes with hidden layers, got a linear policy"),
        ([DRIFT, "--preset", "stst", "--skip"], "stands for --no-skip, and --skip contradicts"),
        (
            [DRIFT, "--preset", "stst", "--unit-activations", "sin", "cos"],
            "no --unit-activations, and --unit-activations sin cos contradicts",
        ),
        ([DRIFT, "--structure", "edges", "--num-edges", "161"], "from 1 to 160.*got 161"),
        ([DRIFT, "--structure", "edges", "--num-edges", "0"], "from 1 to 160.*got 0"),
        ([DRIFT, "--structure", "edges", "--hidden", "0"], "from 1 to 6,.*got 64"),
        ([DRIFT, "--controller-population", "0"], "population_size must be .* at least 2, got 0"),
        ([DRIFT, "--popsize", "5"], "popsize must be an even number"),
        ([DRIFT, "--popsize", "0"], "popsize must be an integer of at least 2"),
        ([DRIFT, "--num-top", "51"], "num_top must be an integer from 1 to 50"),
        ([DRIFT, "--estimator", "vanilla", "--num-top", "2"], "antithetic"),
        ([DRIFT, "--baseline", "structure", "--structure", "dense"], "chromatic, edges"),
        ([DRIFT, "--baseline", "mean"], "dense, toeplitz or circulant.* take baseline structure"),
        ([DRIFT, "--top-rule", "difference"], "top_rule difference goes with num_top"),
        ([DRIFT, "--learning-rate-final", "0.5"], "goes with learning_rate_schedule linear"),
        ([DRIFT, "--stdev-final", "0.5"], "goes with stdev_schedule linear"),
        ([DRIFT, "--optimizer", "cmaes", "--directions", "hadamard"], "got directions too"),
        ([DRIFT, "--stdev-final", "0"], "final factor must be positive"),
        ([DRIFT, "--weight-decay", "-1"], "weight_decay must be at least 0"),
        ([DRIFT, "--hidden", "8", "0"], "hidden"),
        ([DRIFT, "--hidden", "-1"], "hidden"),
        ([DRIFT, "--total-steps", "0"], "total_steps must be at least 1"),
        ([DRIFT, "--center-evaluations", "0"], "center_evaluations must be at least 1"),
        ([DRIFT, "--num-episodes", "0"], "num_episodes must be at least 1"),
        ([DRIFT, "--num-actors", "-2"], "num_actors"),
        ([DRIFT, "--seed", "-1"], "seed must be at least 0"),
        ([DRIFT, "--stdev", "nan"], "stdev"),
        ([DRIFT, "--stdev", "inf"], "stdev"),
        ([DRIFT, "--learning-rate", "-1"], "learning_rate"),
        ([DRIFT, "--checkpoint-every", "0"], "checkpoint_every must be at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_training_that_cannot_start_says_why_and_leaves_nothing(args, message, capsys, tmp_path):
    assert re.search(message, error_of(capsys, "train", *args))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fly"],
        ["train"],
        ["train", DRIFT, "--structure", "round"],
        ["train", DRIFT, "--controller", "oracle"],
        ["train", DRIFT, "--popsize", "many"],
        ["train", DRIFT, "--colours", "4"],
        ["evaluate"],
        ["resume", "run", "--popsize", "4"],
    ],
    ids=" ".join,
)
def test_wrong_flags_exit_with_2(args, capsys, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        main(args)
    assert exit_.value.code == 2
    assert "help" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    message = error_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    assert "run exists" in message
    assert "structured-layers resume run" in message
    assert [p.name for p in tmp_path.rglob("*")] == ["run"]


@pytest.mark.parametrize("command", ["resume", "evaluate", "report"])
@pytest.mark.parametrize("folder", ["nowhere", "empty", "file"])
def test_a_folder_that_is_no_run(command, folder, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    assert folder in error_of(capsys, command, folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [("evaluate", "policy.json does not exist"), ("report", "has no finished generation yet")],
)
def test_a_run_without_a_finished_generation(command, message, capsys):
    main(["train", HOPELESS, *TINY, "--out", "run"])
    capsys.readouterr()
    assert message in error_of(capsys, command, "run")


@pytest.mark.parametrize(
    ("name", "content", "command", "message"),
    [
        ("config.json", "{", "resume", "cut off"),
        ("config.json", '{"format": "structured-layers run", "version": 9}', "report", "upgrade"),
        ("checkpoint/state.json", "{", "resume", "cut off"),
        ("checkpoint/state.json", '{"format": "theirs"}', "resume", "is not a"),
        ("policy/policy.json", "{", "evaluate", "cut off"),
        ("policy/policy.json", '{"format": "theirs"}', "evaluate", "is not a"),
        ("policy/weights.safetensors", "x", "evaluate", "safetensors"),
        ("policy/weights.safetensors", "x", "report", "safetensors"),
    ],
)
def test_damaged_files(name, content, command, message, capsys, tmp_path):
    output_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    (tmp_path / "run" / name).write_text(content)
    before = snapshot(tmp_path)
    assert re.search(message, error_of(capsys, command, "run"))
    assert snapshot(tmp_path).keys() == before.keys()


def test_a_run_of_an_earlier_version_is_reported_and_not_resumed(capsys, tmp_path):
    output_of(capsys, "train", DRIFT, *TINY, "--structure", "toeplitz", "--out", "run")
    make_old(tmp_path / "run")
    before = snapshot(tmp_path)
    message = error_of(capsys, "resume", "run")
    assert "run was made by an earlier structured-layers: its settings have version 1" in message
    assert "resume it with the version that made it, or train anew" in message
    assert snapshot(tmp_path) == before
    assert "over 20 episodes" in output_of(capsys, "evaluate", "run")
    assert "toeplitz" in output_of(capsys, "report", "run")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Swimmer-v5", "policy takes 3 observations, the environment gives 8"),
        ("Pendulum-v1", "acts by a vector of 2, the environment takes a vector of 1"),
        ("Nowhere-v0", "no environment is called"),
    ],
)
def test_evaluation_where_the_policy_does_not_fit(env, message, capsys):
    output_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    assert message in error_of(capsys, "evaluate", "run", "--env", env)


def test_evaluation_of_a_choice_where_a_vector_is_needed(capsys):
    output_of(capsys, "train", "MountainCar-v0", *TINY, "--out", "run")
    message = error_of(capsys, "evaluate", "run", "--env", "MountainCarContinuous-v0")
    assert "acts by a choice among 3, the environment takes a vector of 1" in message


@pytest.mark.parametrize("option", [["--episodes", "0"], ["--seed", "-1"]], ids=" ".join)
def test_evaluation_with_impossible_numbers(option, capsys):
    output_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    assert "must be at least" in error_of(capsys, "evaluate", "run", *option)


def test_evaluations_repeat_by_seed(capsys):
    output_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    results = [output_of(capsys, "evaluate", "run", "--seed", seed) for seed in "112"]
    assert results[0] == results[1] != results[2]


def test_ctrl_c_in_the_middle_and_resume(capsys, tmp_path, monkeypatch):
    """The first press finishes the generation; the numbers after resuming are the same."""
    output_of(capsys, "train", DRIFT, *TINY, "--out", "undisturbed")
    generation = Run._generation
    handler = signal.getsignal(signal.SIGINT)

    def pressed(run, *args):
        os.kill(os.getpid(), signal.SIGINT)
        return generation(run, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_generation", pressed)
        out = output_of(capsys, "train", DRIFT, *TINY, "--out", "a run", code=130)
    assert "saved at generation 1; go on with `structured-layers resume 'a run'`" in out
    assert " of 160 edges" in output_of(capsys, "resume", "a run")
    assert_same_run(tmp_path / "a run", tmp_path / "undisturbed")
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_second_ctrl_c_gives_the_generation_up(capsys, tmp_path, monkeypatch):
    output_of(capsys, "train", DRIFT, *TINY, "--out", "undisturbed")
    row = run_module.progress_row

    def pressed_twice(search, *arguments):
        if search.step_count == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return row(search, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "progress_row", pressed_twice)
        out = output_of(capsys, "train", DRIFT, *TINY, "--out", "run", code=130)
    assert "saved at generation 1" in out
    output_of(capsys, "resume", "run")
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def test_ctrl_c_outside_of_training_exits_with_130(capsys, monkeypatch):
    def pressed(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "create", pressed)
    assert main(["train", DRIFT]) == 130


def test_a_stop_request_raises_at_the_second_press():
    stop = StopRequest()
    assert not stop()
    stop.handle(signal.SIGINT, None)
    assert stop()
    with pytest.raises(KeyboardInterrupt):
        stop.handle(signal.SIGINT, None)


def test_too_many_failures_say_why_save_and_can_be_resumed(capsys, tmp_path, monkeypatch):
    assert main(["train", HOPELESS, *TINY, "--out", "run"]) == 2
    captured = capsys.readouterr()
    assert (
        "saved at generation 0; mend the environment and go on with `structured-layers resume run`"
        in captured.out
    )
    assert re.fullmatch(r"error: \d of 6 candidates failed .* is on fire\n", captured.err)
    monkeypatch.setenv("DRIFT_FIXED", "1")
    assert " of 160 edges" in output_of(capsys, "resume", "run")


def test_an_environment_that_fails_now_and_then_still_ends_in_a_policy(capsys, tmp_path):
    args = ["--popsize", "20", "--center-evaluations", "2", "--total-steps", "1000"]
    out = output_of(capsys, "train", TROUBLED, *args, "--out", "run")
    assert "but no return can be reported" in out
    assert "is on fire" in out
    with (tmp_path / "run" / "progress.csv").open() as file:
        assert any(int(row["failed_candidates"]) for row in csv.DictReader(file))
    assert "is on fire" in error_of(capsys, "evaluate", "run")


def test_without_matplotlib_training_ends_well_and_says_how_to_get_pictures(
    capsys, tmp_path, monkeypatch
):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = output_of(capsys, "train", DRIFT, *TINY, "--out", "run")
    assert (
        'no pictures: Drawing pictures needs an extra: pip install "structured-layers[plots]"'
        in out
    )
    assert "`structured-layers report run`" in out
    assert " of 160 edges" in out
    assert "structured-layers[plots]" in error_of(capsys, "report", "run")
    assert not list(tmp_path.rglob("*.png"))


def test_help_names_what_to_give(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert re.search(r"usage: structured-layers train .*ENV\n", text)
    assert not re.search(r"\b(None|INT|STR|PATH|FLOAT)\b", text)
