"""Real processes of the command line, killed or interrupted at random moments."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_folders import assert_same_run

import structured_layers
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.integrations.cli import main

COMMAND = [
    sys.executable,
    "-c",
    "from structured_layers.integrations.cli import entry_point; entry_point()",
]
PATHS = (Path(__file__).parent, Path(structured_layers.__file__).parents[1])
TRAIN = [
    "train",
    "drift_envs:Drift-v0",
    *("--hidden", "3", "--popsize", "4", "--center-evaluations", "2"),
    *("--controller-population", "10", "--checkpoint-every", "2"),
]
STEPS = 6 * 30  # of a generation
LIMIT = 120  # seconds that anything may take before the test gives up


def start(*args):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    return subprocess.Popen(
        [*COMMAND, *args],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_generations(process, folder, count):
    """Wait until a process that has just been started has finished so many generations more."""
    while not process.stdout.readline().startswith("generation "):
        assert process.poll() is None
    progress = folder / "progress.csv"
    goal = progress.read_text().count("\n") + count
    deadline = time.monotonic() + LIMIT
    while progress.read_text().count("\n") < goal:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill_again_and_again(folder, train, kills, rng):
    """Start a run, kill it and resume it, at moments that have nothing to do with its own."""
    for number in range(kills):
        args = [*train, "--out", str(folder)] if number == 0 else ["resume", str(folder)]
        process = start(*args)
        wait_for_generations(process, folder, rng.randrange(12))
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate(timeout=LIMIT)
        assert process.returncode == -signal.SIGKILL


def assert_clean(folder):
    assert not list(folder.parent.glob(".*"))
    assert not list(folder.rglob("*.tmp"))
    assert len(list((folder / "checkpoint").iterdir())) == 2


@pytest.mark.parametrize(
    ("kills", "generations"), [(2, 40), pytest.param(10, 200, marks=pytest.mark.slow)]
)
def test_a_killed_run_resumes_to_the_same_numbers(kills, generations, tmp_path):
    train = [*TRAIN, "--total-steps", str(generations * STEPS)]
    folder, undisturbed = tmp_path / "killed" / "run", tmp_path / "undisturbed"
    kill_again_and_again(folder, train, kills, random.Random(kills))
    assert main(["resume", str(folder)]) == 0
    assert main([*train, "--out", str(undisturbed)]) == 0
    assert_same_run(folder, undisturbed)
    assert_clean(folder)


def test_ctrl_c_finishes_the_generation_saves_and_says_how_to_go_on(tmp_path):
    train = [*TRAIN, "--total-steps", str(5000 * STEPS)]
    folder = tmp_path / "run"
    process = start(*train, "--out", str(folder))
    wait_for_generations(process, folder, 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, output
    saved = re.search(r"saved at generation (\d+); go on with `structured-layers resume", output)
    assert saved, output
    assert "finishing this generation" in output
    assert "Traceback" not in output
    generation = int(saved[1])
    assert read_checkpoint(folder / "checkpoint")["search"]["step_count"] == generation
    assert (folder / "progress.csv").read_text().count("\n") == generation + 1
    assert_clean(folder)
