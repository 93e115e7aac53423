"""Ctrl-C at the worst moments: while a run saves, and while it puts its state back."""

import os
import re
import signal
import threading

import pytest
from run_folders import assert_same_run

from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.cli.session import train_in_session
from structured_layers.integrations.evotorch import run as run_module
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig
from structured_layers.interruptions import interrupts_held

CONFIG = RunConfig(
    "drift_envs:Drift-v0", hidden=(3,), popsize=4, center_evaluations=1, total_steps=600,
    controller_population=4,
)  # fmt: skip


def press():
    """Ctrl-C: a real signal, which Python handles before it goes on."""
    os.kill(os.getpid(), signal.SIGINT)


def saved(run):
    return read_checkpoint(run.folder / "checkpoint")["search"]["step_count"]


def press_before(monkeypatch, owner, name, should_press=lambda: True):
    original = getattr(owner, name)

    def pressing(*arguments, **options):
        if should_press():
            press()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, pressing)


def train_and_say(run, capfd):
    """Train as the command line does and return the generation that it says is saved."""
    assert train_in_session(run, checkpoint_every=100) == 130
    return int(re.search(r"saved at generation (\d+);", capfd.readouterr().out)[1])


def test_what_is_pressed_counts_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with interrupts_held():
            press()
            press()
            done.append("all")
        done.append("too much")
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_goes_first():
    with pytest.raises(OSError, match="full"), interrupts_held():
        press()
        raise OSError("full")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_held_in_another_thread():
    handlers = []

    def look():
        with interrupts_held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_the_second_press_while_the_checkpoint_is_written(tmp_path, monkeypatch, capfd):
    run = Run.create(tmp_path / "run", CONFIG)
    press_before(monkeypatch, run_module, "progress_row", lambda: run.generation == 2)
    press_before(monkeypatch, run_module, "write_checkpoint", lambda: run.generation > 0)
    assert train_and_say(run, capfd) == saved(run) == 2


def test_presses_while_the_state_is_put_back(tmp_path, monkeypatch, capfd):
    """The first two give up the third generation, two more come while that is undone."""
    run = Run.create(tmp_path / "run", CONFIG)
    for _ in range(2):
        press_before(monkeypatch, run_module, "progress_row", lambda: run.generation == 3)
    for owner in (run.problem, run.best):
        press_before(monkeypatch, owner, "load_state_dict")
    assert train_and_say(run, capfd) == saved(run) == 2
    monkeypatch.undo()
    Run.resume(run.folder).train()
    other = Run.create(tmp_path / "undisturbed", CONFIG)
    other.train()
    assert_same_run(run.folder, other.folder)


def test_presses_in_a_program_of_ones_own(tmp_path, monkeypatch):
    """Without the command line's handler every press raises."""
    run = Run.create(tmp_path / "run", CONFIG)
    press_before(monkeypatch, run_module, "progress_row", lambda: run.generation == 3)
    for owner in (run.problem, run.best):
        press_before(monkeypatch, owner, "load_state_dict")
    press_before(monkeypatch, run_module, "write_checkpoint", lambda: run.generation > 0)
    with pytest.raises(KeyboardInterrupt):
        run.train(checkpoint_every=100)
    assert saved(run) == run.generation == 2
    monkeypatch.undo()
    run.train()
    other = Run.create(tmp_path / "undisturbed", CONFIG)
    other.train()
    assert_same_run(run.folder, other.folder)


def test_a_state_that_could_not_be_put_back_is_not_saved(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run", CONFIG)
    run.train(should_stop=lambda: run.generation == 2)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "progress_row", interrupted)
        patch.setattr(run.problem, "load_state_dict", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.train()
    assert saved(run) == run.saved_generation == 2
    for go_on in (run.train, run.save):
        with pytest.raises(StructuredLayersError, match="checkpoint of generation 2 is whole: go"):
            go_on()
    assert Run.resume(run.folder).generation == 2
