"""Runs whose disk is full, whose user is impatient, or whose environment is broken."""

import builtins
import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_folders import assert_same_run, snapshot

import structured_layers
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.errors import EvaluationError, StructuredLayersError
from structured_layers.integrations.cli import main
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

STEPS = 9 * 30  # of a generation in an environment with at most 30 steps an episode
LIMIT = 120  # seconds that anything may take before the test gives up


def config(env="drift_envs:Drift-v0", **settings):
    defaults = {
        "hidden": (3,),
        "popsize": 6,
        "center_evaluations": 3,
        "total_steps": 4 * STEPS - 100,
        "controller_population": 10,
    }
    return RunConfig(env, **{**defaults, **settings})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    Run.create(folder, config()).train(checkpoint_every=2)
    return folder


class FullDisk:
    """Lets so many operations on files pass, then says that there is no room, like a full disk."""

    def __init__(self, patch, operations):
        self.left, self.refused = operations, False
        for owner, name in ((os, "fsync"), (os, "replace"), (builtins, "open"), (Path, "open")):
            patch.setattr(owner, name, self.counting(getattr(owner, name)))

    def counting(self, operation):
        def wrapped(*args, **options):
            mode = options.get("mode", args[1] if len(args) > 1 else "r")
            if operation.__name__ == "open" and mode in ("r", "rb"):
                return operation(*args, **options)
            self.left -= 1
            if self.left < 0:
                self.refused = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return operation(*args, **options)

        return wrapped


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_any_moment_leaves_the_last_checkpoint(
    stride, tmp_path, undisturbed, monkeypatch
):
    """Refused at the first operation, at the second, … until a run gets through."""
    for operations in range(0, 1000, stride):
        folder = tmp_path / f"run-{operations}"
        run = Run.create(folder, config())
        message = None
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, operations)
            try:
                run.train(checkpoint_every=2)
            except StructuredLayersError as error:
                message = str(error)
        if disk.refused:
            assert re.search(r"cannot be written: .*No space left", message)
            saved = read_checkpoint(folder / "checkpoint")["search"]["step_count"]
            assert f"checkpoint of generation {saved} is whole" in message
        if not disk.refused:
            break
        Run.resume(folder).train(checkpoint_every=2)
        assert_same_run(folder, undisturbed)
        assert not list(folder.rglob("*.tmp"))
    assert operations > 20


def test_the_same_object_goes_on_when_there_is_room_again(tmp_path, undisturbed, monkeypatch):
    folder = tmp_path / "run"
    run = Run.create(folder, config())
    for operations in (9, 14):
        with monkeypatch.context() as patch:
            FullDisk(patch, operations)
            with pytest.raises(StructuredLayersError, match="make room, then go on with"):
                run.train(checkpoint_every=2)
    run.train(checkpoint_every=2)
    assert_same_run(folder, undisturbed)


# TensorBoard writes in a thread of its own, and says there what it also says to us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_real_disk_without_room(tmp_path, undisturbed):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        run = Run.create(mount / "run", config())
        run.train(checkpoint_every=2, should_stop=iter([False, False, True]).__next__)
        filler = mount / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(1024))
        before = snapshot(mount / "run" / "checkpoint")
        with pytest.raises(StructuredLayersError, match="No space left"):
            run.train(checkpoint_every=1)
        assert snapshot(mount / "run" / "checkpoint") == before
        filler.unlink()
        Run.resume(mount / "run").train(checkpoint_every=2)
        assert_same_run(mount / "run", undisturbed)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_the_advice_is_about_what_is_wrong(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run", config())
    (tmp_path / "run" / "tensorboard").write_text("")
    with pytest.raises(StructuredLayersError, match=r"whole: move .*tensorboard.* out of the way"):
        run.train()
    (tmp_path / "run" / "tensorboard").unlink()

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StructuredLayersError, match="whole: allow writing there, then go on with"):
        run.train()


def test_a_search_stopped_by_failures_goes_on_when_the_environment_is_mended(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run = Run.create(folder, config("drift_envs:Hopeless-v0"))
    with pytest.raises(EvaluationError, match="more than 40%"):
        run.train()
    assert run.generation == 0
    monkeypatch.setenv("DRIFT_FIXED", "1")
    Run.resume(folder).train()
    other = tmp_path / "mended"
    Run.create(other, config("drift_envs:Hopeless-v0")).train()
    assert_same_run(folder, other)


def test_strict_ends_a_run_with_the_state_before_that_generation(tmp_path, capfd):
    folder = tmp_path / "run"
    code = main(
        [
            *("train", "drift_envs:Troubled-v0", "--hidden", "3", "--popsize", "20", "--strict"),
            *("--total-steps", "100000", "--out", str(folder)),
        ]
    )
    assert code == 2
    printed = capfd.readouterr()
    assert "strict: nothing may fail" in printed.err
    assert "go on with `structured-layers resume" in printed.out
    assert read_checkpoint(folder / "checkpoint")["search"]["step_count"] == 0


def start_training(folder, *options):
    """A real process with its children in a group of its own, as a terminal makes it."""
    paths = (Path(__file__).parent, Path(structured_layers.__file__).parents[1])
    code = "from structured_layers.integrations.cli import entry_point; entry_point()"
    train = [
        *("train", "fault_envs:Patient-v0", "--hidden", "3", "--popsize", "20"),
        *("--checkpoint-every", "2", "--total-steps", "1000000", "--out", str(folder)),
    ]
    return subprocess.Popen(
        [sys.executable, "-c", code, *train, *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_generation(process, folder, generation):
    deadline = time.monotonic() + LIMIT
    progress = folder / "progress.csv"
    while not progress.exists() or progress.read_text().count("\n") < 1 + generation:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--num-actors", "2"), marks=[pytest.mark.xdist_group("ray")])],
    ids=["alone", "actors"],
)
def test_ctrl_c_twice_gives_up_the_generation_and_saves_the_one_before(options, tmp_path):
    folder = tmp_path / "run"
    process = start_training(folder, *options)
    try:
        wait_for_generation(process, folder, 3)
        time.sleep(0.2)  # into a generation, which takes about two seconds
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    saved = int(re.search(r"saved at generation (\d+); go on with", output)[1])
    assert saved >= 3
    assert read_checkpoint(folder / "checkpoint")["search"]["step_count"] == saved
    assert Run.resume(folder).generation == saved
    assert not list(folder.rglob("*.tmp"))
