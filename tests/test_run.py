"""A run's folder: what is in it, and that an interrupted run ends as an undisturbed one."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from run_folders import assert_same_run, make_old, snapshot

from structured_layers import load_policy
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.errors import CheckpointError, EvaluationError, StructuredLayersError
from structured_layers.files import json_digest, read_tensors
from structured_layers.integrations.evotorch.progress import ProgressFile
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.integrations.evotorch.run_files import locked, read_run_config

DRIFT, TROUBLED, HOPELESS = (f"drift_envs:{n}-v0" for n in ("Drift", "Troubled", "Hopeless"))
STEPS = 9 * 30  # of a generation in an environment with at most 30 steps an episode


def config(**settings):
    defaults = {
        "env": DRIFT,
        "hidden": (3,),
        "popsize": 6,
        "center_evaluations": 3,
        "total_steps": 6 * STEPS - 100,
        "controller_population": 10,
    }
    if settings.get("structure", "chromatic") not in ("chromatic", "edges"):
        del defaults["controller_population"]
    return RunConfig(**{**defaults, **settings})


def trained(folder, settings=None, **options):
    run = Run.create(folder, settings or config())
    run.train(**options)
    return run


def stop_after(generations):
    """A `should_stop` that lets so many generations pass."""
    return iter([False] * generations + [True]).__next__


def rows_of(folder):
    with (folder / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def edit_json(path, **changes):
    """Change what a file says; if it had a checksum, to one that is right."""
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**data, "seal": json_digest(data)} if "seal" in data else data))


def test_the_folder_holds_what_the_documentation_says(tmp_path):
    run = trained(tmp_path / "run")
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} - {".lock"} == {
        "config.json",
        "progress.csv",
        "tensorboard",
        "checkpoint",
        "history",
        "policy",
    }
    assert {p.name for p in (folder / "policy").iterdir()} == {"policy.json", "weights.safetensors"}
    assert {p.suffix for p in (folder / "checkpoint").iterdir()} == {".json", ".safetensors"}
    assert len(list((folder / "checkpoint").iterdir())) == 2
    assert any((folder / "tensorboard").iterdir())
    assert run.finished
    assert list(tmp_path.iterdir()) == [folder]


def test_the_columns_of_progress_are_in_the_promised_order(tmp_path):
    run = trained(tmp_path / "run")
    header = (tmp_path / "run" / "progress.csv").read_text().splitlines()[0].split(",")
    assert header[:11] == [
        "generation",
        "env_steps",
        "seconds",
        "return_mean",
        "return_best",
        "return_center",
        "num_weights",
        "controller_updates",
        "failed_candidates",
        "warned_candidates",
        "update_norm",
    ]
    rows = rows_of(tmp_path / "run")
    assert [int(r["generation"]) for r in rows] == list(range(1, run.generation + 1))
    assert [int(r["controller_updates"]) for r in rows] == list(range(1, run.generation + 1))
    assert int(rows[-1]["env_steps"]) == run.problem.env_steps >= run.config.total_steps
    assert int(rows[-2]["env_steps"]) < run.config.total_steps
    assert {r["num_weights"] for r in rows} == {"3"}  # colours, by default max(3, 2)
    seconds = [float(r["seconds"]) for r in rows]
    assert seconds == sorted(seconds)
    for row in rows:
        assert float(row["return_best"]) >= float(row["return_mean"])
        assert float(row["update_norm"]) > 0
        assert row["failed_candidates"] == "0"


@pytest.mark.parametrize("structure", ["dense", "toeplitz", "circulant", "chromatic", "edges"])
def test_every_structure_trains_and_its_policy_is_the_best_centre(structure, tmp_path):
    settings = {"num_edges": 8} if structure == "edges" else {}
    run = trained(tmp_path / "run", config(structure=structure, **settings))
    best = max(float(r["return_center"]) for r in rows_of(tmp_path / "run"))
    assert run.best.value == pytest.approx(best)
    policy = load_policy(tmp_path / "run")
    reference = run.problem.to_policy(run.best.solution, normalizer=run.best.normalizer)
    observation = [0.5, -1.0, 0.1]
    action, _ = policy.predict(observation)
    assert action.tolist() == reference.predict(observation)[0].tolist()


def test_everything_is_json_csv_or_safetensors(tmp_path):
    trained(tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and path.parent.name != "tensorboard" and path.name != ".lock":
            read = {".json": lambda p: json.loads(p.read_text()), ".safetensors": read_tensors}
            assert path.name == "progress.csv" or read[path.suffix](path)


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(1))
    before = snapshot(folder)
    with pytest.raises(StructuredLayersError, match=r"exists; .*structured-layers resume"):
        Run.create(folder, config())
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env": "Nowhere-v0"}, "no environment is called"),
        ({"env": "drift_envs:Picture-v0"}, "image"),
        ({"popsize": 7}, "even number"),
        ({"num_colors": 0}, "0"),
        ({"num_colors": 16}, "between 1 and 15"),
        ({"structure": "edges", "num_edges": 16}, "from 1 to 15.*got 16"),
        ({"structure": "edges", "num_edges": 0}, "from 1 to 15.*got 0"),
        ({"hidden": (3, 0)}, "hidden"),
        ({"stdev": float("inf")}, "stdev"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"num_episodes": 0}, "num_episodes"),
        ({"optimizer": "lion"}, "lion"),
        ({"ranking_method": "best"}, "best"),
    ],
)
def test_a_failing_creation_leaves_nothing_behind(settings, message, tmp_path):
    with pytest.raises(StructuredLayersError, match=message):
        Run.create(tmp_path / "deep" / "run", config(**settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"structure": "round"}, "structure must be one of dense, .*got 'round'"),
        ({"controller": "oracle"}, "controller must be one of .*got 'oracle'"),
        ({"structure": "toeplitz", "num_colors": 3}, "num_colors goes with structure chromatic"),
        ({"structure": "dense", "controller": "random"}, "controller goes with structure"),
        ({"structure": "edge-mask", "num_edges": 3}, "num_edges goes with structure edges"),
        ({"controller": "random"}, "no population"),
        ({"total_steps": 0}, "total_steps must be at least 1"),
        ({"center_evaluations": 0}, "center_evaluations must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"top_rule": "difference"}, "top_rule difference goes with num_top"),
        ({"learning_rate_final": 0.5}, "learning_rate_final goes with learning_rate_schedule"),
        ({"stdev_final": 0.5}, "stdev_final goes with stdev_schedule linear"),
        ({"baseline": "mean"}, "goes with structure dense.*got structure chromatic"),
    ],
)
def test_settings_that_say_nothing_or_contradict_are_refused(settings, message):
    with pytest.raises(StructuredLayersError, match=message):
        config(**settings)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StructuredLayersError, match="cannot be written"):
        Run.create(tmp_path / "file" / "run", config())


def test_what_a_killed_creation_left_is_removed(tmp_path):
    for leftover in (tmp_path / ".run.4711.tmp", tmp_path / ".running.4711.tmp"):
        leftover.mkdir()
        (leftover / "config.json").write_text("{")
    Run.create(tmp_path / "run", config())
    assert {p.name for p in tmp_path.iterdir()} == {"run", ".running.4711.tmp"}


class Interrupting:
    """Calls a problem's evaluation, and raises in the middle of one of them."""

    def __init__(self, problem, number, error):
        self.evaluate, self.left, self.error = problem.evaluate_candidates, number, error

    def __call__(self, candidates):
        rollouts = self.evaluate(candidates)
        self.left -= 1
        if self.left == 0:
            raise self.error
        return rollouts


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    trained(folder)
    return folder


@pytest.mark.parametrize("generations", [0, 1, 4, 5])
@pytest.mark.parametrize("checkpoint_every", [1, 2, 10])
def test_stopping_at_a_generation_and_resuming(
    generations, checkpoint_every, tmp_path, undisturbed
):
    folder = tmp_path / "run"
    run = trained(folder, should_stop=stop_after(generations), checkpoint_every=checkpoint_every)
    assert run.generation == generations
    Run.resume(folder).train(checkpoint_every=checkpoint_every)
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the cable came off")])
@pytest.mark.parametrize("number", [1, 3])
def test_an_exception_in_the_middle_of_a_generation(error, number, tmp_path, undisturbed):
    folder = tmp_path / "run"
    run = Run.create(folder, config())
    run.problem.evaluate_candidates = Interrupting(run.problem, number, error)
    with pytest.raises(type(error)):
        run.train()
    assert run.generation == number - 1 == len(rows_of(folder))
    Run.resume(folder).train()
    assert_same_run(folder, undisturbed)


def test_the_same_object_goes_on_after_an_exception(tmp_path, undisturbed):
    folder = tmp_path / "run"
    run = Run.create(folder, config())
    run.problem.evaluate_candidates = Interrupting(run.problem, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run.train()
    run.train()
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_around_the_writing_of_a_row(after, tmp_path, undisturbed, monkeypatch):
    folder = tmp_path / "run"
    append = ProgressFile.append

    def interrupted(self, row):
        if row["generation"] == 3:
            if after:
                append(self, row)
            raise KeyboardInterrupt
        append(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressFile, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(folder)
    Run.resume(folder).train()
    assert_same_run(folder, undisturbed)


def test_a_run_killed_between_any_two_operations_on_files_resumes(
    tmp_path, undisturbed, monkeypatch
):
    """Every state that the disk is ever in is copied, and every copy has to resume."""
    folder, copies = tmp_path / "run", []

    def copying(operation):
        def wrapped(*args, **options):
            for when in ("before", "after"):
                if when == "after":
                    result = operation(*args, **options)
                if folder.exists():
                    copies.append(tmp_path / f"copy-{len(copies)}")
                    shutil.copytree(folder, copies[-1])
            return result

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", copying(os.replace))
        patch.setattr(Path, "unlink", copying(Path.unlink))
        patch.setattr(Path, "open", copying(Path.open))
        trained(folder, should_stop=stop_after(3), checkpoint_every=2)
    assert len(copies) > 40
    for copy in {json.dumps(sorted(snapshot(c).items()), default=repr): c for c in copies}.values():
        Run.resume(copy).train()
        assert_same_run(copy, undisturbed)
        assert not list(copy.rglob("*.tmp"))


def test_progress_is_cut_to_the_checkpoint_and_a_half_written_row_dropped(tmp_path, undisturbed):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(2))
    progress = folder / "progress.csv"
    whole = progress.read_text()
    later = whole.splitlines()[-1].replace("2,", "3,", 1)
    progress.write_text(f"{whole}{later}\n4,123,0.")
    assert [row["generation"] for row in ProgressFile(progress).read()] == ["1", "2", "3"]
    run = Run.resume(folder)
    assert progress.read_text() == whole
    run.train()
    assert_same_run(folder, undisturbed)


@pytest.mark.parametrize(
    "damage",
    [lambda p: p.unlink(), lambda p: p.write_text(""), lambda p: p.write_bytes(b"\xff\n1")],
)
def test_progress_that_is_gone_is_an_error_and_not_a_wrong_curve(damage, tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(2))
    damage(folder / "progress.csv")
    with pytest.raises(CheckpointError, match=r"progress\.csv"):
        Run.resume(folder)


def test_seconds_go_on_across_resumes(tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(2))
    so_far = float(rows_of(folder)[-1]["seconds"])
    Run.resume(folder).train()
    seconds = [float(row["seconds"]) for row in rows_of(folder)]
    assert seconds[1] == so_far
    assert seconds == sorted(seconds)


def test_a_finished_run_resumes_to_itself(tmp_path, undisturbed):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    run = Run.resume(folder)
    assert run.finished
    run.train()
    assert_same_run(folder, undisturbed)


def test_leftovers_of_killed_writes_are_removed(tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(1))
    names = (".progress.csv.9.tmp", "checkpoint/.state.json.9.tmp", "policy/.policy.json.9.tmp")
    for name in names:
        (folder / name).write_text("{")
    (folder / "checkpoint" / "state-7.safetensors").write_text("never named by state.json")
    Run.resume(folder).train()
    assert not list(folder.rglob("*.tmp"))
    assert len(list((folder / "checkpoint").iterdir())) == 2


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("checkpoint/state.json", cut_off, "cut off"),
        ("checkpoint/state.json", lambda p: p.unlink(), "does not exist"),
        ("checkpoint/state.json", lambda p: edit_json(p, version=99), "version 99.*upgrade"),
        ("checkpoint/state.json", lambda p: edit_json(p, format="zip"), "is not a"),
        ("checkpoint/state.json", lambda p: edit_json(p, state={}), "not of this run"),
        ("checkpoint/state.json", lambda p: edit_json(p, state=[1]), "not of this run"),
        ("checkpoint/state.json", lambda p: p.write_text("[]"), "is not a"),
        ("checkpoint/state.json", lambda p: p.write_bytes(b"\x80\x04."), "not JSON"),
        ("checkpoint/state-2.safetensors", cut_off, "cut off"),
        ("checkpoint/state-2.safetensors", flip_a_bit, "checksum"),
        ("checkpoint/state-2.safetensors", lambda p: p.unlink(), "missing"),
        ("config.json", cut_off, "cut off"),
        ("config.json", lambda p: p.unlink(), "does not exist"),
        ("config.json", lambda p: edit_json(p, version=3), "version 3.*upgrade"),
        ("config.json", lambda p: edit_json(p, version="2"), "version 2"),
        ("config.json", lambda p: edit_json(p, config=None), "no settings"),
        ("config.json", lambda p: edit_json(p, config={"env": DRIFT}), "differs in"),
        (
            "config.json",
            lambda p: edit_json(p, config={**config().to_json(), "total_steps": "many"}),
            "wrong type: total_steps='many'",
        ),
        (
            "config.json",
            lambda p: edit_json(p, config={**config().to_json(), "output_bias": "no"}),
            "wrong type: output_bias='no'",
        ),
        ("checkpoint/state.json", lambda p: edit_json(p, state={"a": {"$tensor": [1]}}), "whole"),
        (
            "config.json",
            lambda p: edit_json(p, config={**config().to_json(), "hidden": [4]}),
            "not of this run",
        ),
        (
            "config.json",
            lambda p: edit_json(p, config={**config().to_json(), "total_steps": 10**6}),
            "config.json, which must stay as they are",
        ),
        (
            "progress.csv",
            lambda p: p.write_text(p.read_text().replace(".", ":", 1)),
            "progress.csv was changed, or lacks rows",
        ),
    ],
)
def test_a_damaged_run_is_refused_and_left_alone(name, damage, message, tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(2))
    damage(folder / name)
    before = snapshot(folder)
    with pytest.raises(CheckpointError, match=message):
        Run.resume(folder)
    assert snapshot(folder) == before


def test_the_settings_of_an_earlier_version_are_read_but_not_resumed(tmp_path):
    folder = tmp_path / "run"
    trained(folder, should_stop=stop_after(1))
    make_old(folder)
    assert read_run_config(folder) == config()
    with pytest.raises(CheckpointError, match="made by an earlier structured-layers.*version 1"):
        read_run_config(folder, to_resume=True)
    edit_json(folder / "config.json", config={"env": DRIFT})
    with pytest.raises(CheckpointError, match="differs in"):
        read_run_config(folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        Run.resume(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="not a structured-layers run"):
        Run.resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_trains_a_run(tmp_path):
    folder = tmp_path / "run"
    first = trained(folder, should_stop=stop_after(2))
    second = Run.resume(folder)
    with locked(folder):
        for train in (first.train, lambda: Run.resume(folder)):
            with pytest.raises(StructuredLayersError, match="is being trained by another process"):
                train()
    second.train(should_stop=stop_after(1))
    with pytest.raises(StructuredLayersError, match="gone on to generation 3 .* resume it again"):
        first.train()
    assert len(rows_of(folder)) == 3
    Run.resume(folder).train()


def test_failing_episodes_are_counted_and_survived(tmp_path):
    trained(tmp_path / "run", config(env=TROUBLED, popsize=20, total_steps=1200))
    rows = rows_of(tmp_path / "run")
    assert sum(int(row["failed_candidates"]) for row in rows) > 0
    for row in rows:
        assert float(row["return_mean"]) < 100  # also false for a NaN


def test_too_many_failures_stop_with_a_clear_error_and_a_state_that_resumes(
    tmp_path, monkeypatch, undisturbed
):
    folder = tmp_path / "run"
    with pytest.raises(EvaluationError, match=r"of 9 candidates failed.*motor is on fire"):
        trained(folder, config(env=HOPELESS))
    assert rows_of(folder) == []
    monkeypatch.setenv("DRIFT_FIXED", "1")
    Run.resume(folder).train()
    fixed = tmp_path / "fixed"
    trained(fixed, config(env=HOPELESS))
    assert_same_run(folder, fixed)


@pytest.mark.parametrize("checkpoint_every", [0, -1])
def test_impossible_intervals_are_refused(checkpoint_every, tmp_path):
    run = Run.create(tmp_path / "run", config())
    with pytest.raises(StructuredLayersError, match="checkpoint_every must be at least 1"):
        run.train(checkpoint_every=checkpoint_every)
    assert run.generation == 0


def test_the_state_holds_every_generator(tmp_path):
    """Runs of other seeds differ in each of them; equal seeds are equal runs."""
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        trained(folder, config(seed=seed), should_stop=stop_after(2))
    assert_same_run(folders[0], folders[1])
    states = [read_checkpoint(folder / "checkpoint") for folder in folders]
    for key in ("search", "controller"):
        generators = [
            (s["search"] if key == "search" else s["search"]["controller"])["generator"]
            for s in states
        ]
        assert not generators[0].equal(generators[2])
