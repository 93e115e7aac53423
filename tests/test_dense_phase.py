"""Runs whose dense network is trained first: two phases, one total, and resuming in either."""

import csv
import os
import shutil

import pytest
import torch
from run_folders import assert_same_run

from structured_layers import load_policy
from structured_layers.errors import CheckpointError
from structured_layers.integrations.cli import main
from structured_layers.integrations.evotorch.dense_phase import dense_config
from structured_layers.integrations.evotorch.presets import preset_settings
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

DRIFT = "drift_envs:Drift-v0"


def config(**settings):
    defaults = {
        "env": DRIFT,
        "hidden": (3,),
        "popsize": 6,
        "center_evaluations": 3,
        "controller": "local-search",
        "num_mutations": 1,
        "dense_steps": 600,
        "total_steps": 1800,
        "learning_rate_schedule": "linear",
    }
    return RunConfig(**{**defaults, **settings})


def rows_of(folder):
    with (folder / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_phases(one, other):
    assert_same_run(one, other)
    assert_same_run(one / "dense", other / "dense")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    Run.create(folder, config()).train()
    return folder


def test_the_phases_follow_each_other_and_their_steps_count_together(undisturbed):
    dense, searched = rows_of(undisturbed / "dense"), rows_of(undisturbed)
    assert 600 <= int(dense[-1]["env_steps"])
    assert int(dense[-2]["env_steps"]) < 600
    first = int(searched[0]["env_steps"]) - int(dense[-1]["env_steps"])
    assert 0 < first <= 9 * 30  # one generation
    assert int(searched[-1]["env_steps"]) >= 1800 > int(searched[-2]["env_steps"])
    assert {row["num_weights"] for row in dense} == {"15"}
    assert {row["num_weights"] for row in searched} == {"3"}


def test_the_dense_phase_is_the_run_that_it_would_be_alone(undisturbed, tmp_path):
    Run.create(tmp_path / "alone", dense_config(config())).train()
    assert_same_run(tmp_path / "alone", undisturbed / "dense")


def test_the_second_phase_starts_where_the_policy_of_the_first_is(undisturbed, tmp_path):
    settings = config(dense_steps=0, init_from=str(undisturbed / "dense"), num_mutations=0)
    run = Run.create(tmp_path / "run", settings)
    policy = load_policy(undisturbed / "dense")
    start = run.problem.to_policy(run.search.center_solution(), spec=run.spec)
    assert torch.equal(start.network[0].bias, policy.network[0].bias)


def stop_after(generations):
    return iter([False] * generations + [True]).__next__


@pytest.mark.parametrize("generations", [0, 1, 2, 3, 4, 6, 9])
def test_stopping_in_either_phase_and_resuming(generations, undisturbed, tmp_path):
    folder = tmp_path / "run"
    Run.create(folder, config()).train(should_stop=stop_after(generations))
    run = Run.resume(folder)
    assert not run.finished
    run.train()
    assert_same_phases(folder, undisturbed)


def test_the_same_object_goes_on(undisturbed, tmp_path):
    run = Run.create(tmp_path / "run", config())
    for _ in range(40):
        run.train(should_stop=stop_after(1))
    assert run.finished
    assert_same_phases(tmp_path / "run", undisturbed)


def test_a_run_killed_between_any_two_renamings_of_files_resumes(
    tmp_path, undisturbed, monkeypatch
):
    folder, copies, replace = tmp_path / "run", [], os.replace

    def copying(*args):
        for when in ("before", "after"):
            if when == "after":
                replace(*args)
            if folder.exists():
                copies.append(tmp_path / f"copy-{len(copies)}")
                shutil.copytree(folder, copies[-1])

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", copying)
        Run.create(folder, config()).train(checkpoint_every=2)
    assert len(copies) > 20
    for copy in copies:
        Run.resume(copy).train(checkpoint_every=2)
        assert_same_phases(copy, undisturbed)
        assert not list(copy.rglob("*.tmp"))


def test_a_dense_phase_longer_than_it_should_still_leaves_a_generation(tmp_path):
    run = Run.create(tmp_path / "run", config(dense_steps=599, total_steps=600))
    run.train()
    assert run.finished
    assert run.generation == 1
    assert load_policy(tmp_path / "run").network is not None


def test_the_dense_run_of_other_settings_is_refused(undisturbed, tmp_path):
    folder = tmp_path / "run"
    Run.create(folder, config(seed=4))
    shutil.copytree(undisturbed / "dense", folder / "dense")
    with pytest.raises(CheckpointError, match="run of other settings"):
        Run.resume(folder).train()


def test_a_search_for_masks_starts_with_all_edges_of_the_dense_network(tmp_path):
    run = Run.create(tmp_path / "run", config(structure="edge-mask", num_mutations=0))
    run.train()
    dense, searched = rows_of(tmp_path / "run" / "dense"), rows_of(tmp_path / "run")
    assert {row["num_weights"] for row in (*dense, *searched)} == {"15"}


@pytest.mark.parametrize("optimizer", ["cmaes", "clipup"])
def test_both_phases_take_the_optimizer(optimizer, tmp_path):
    settings = {
        "optimizer": optimizer, "learning_rate_schedule": "constant", "num_mutations": 0
    }  # fmt: skip
    run = Run.create(tmp_path / "run", config(**settings))
    run.train()
    assert run.finished


def test_the_preset_trains_two_phases(tmp_path):
    command = ["train", DRIFT, "--preset", "clustered", "--hidden", "3", "--popsize", "4"]
    assert main([*command, "--total-steps", "900", "--out", str(tmp_path / "run")]) == 0
    assert rows_of(tmp_path / "run" / "dense")
    assert rows_of(tmp_path / "run")


def test_the_preset_has_no_dense_phase_where_a_policy_is_given():
    settings = preset_settings("clustered", DRIFT, {"total_steps": 900})
    assert settings["dense_steps"] > 0
    settings = preset_settings("clustered", DRIFT, {"init_from": "somewhere"})
    assert settings["dense_steps"] == 0


def test_the_preset_leaves_out_the_step_size_that_cma_es_has_not(tmp_path):
    command = ["train", DRIFT, "--preset", "clustered", "--hidden", "3", "--popsize", "4"]
    options = ["--optimizer", "cmaes", "--total-steps", "900", "--out", str(tmp_path / "run")]
    assert main([*command, *options]) == 0
    assert rows_of(tmp_path / "run")
