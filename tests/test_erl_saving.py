"""Saving, loading and interrupting ERL and CERL."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from erl_cases import pendulum, small_autoencoder, small_erl, small_learner

from structured_layers import StructuredLayersError
from structured_layers.errors import CheckpointError
from structured_layers.integrations.sb3.erl import ERL


def test_a_saved_training_goes_on_the_same(tmp_path: Path) -> None:
    erl = small_erl(autoencoder=small_autoencoder(), sync_every=2).learn(16)
    erl.save(tmp_path / "erl", replay_buffer=True)
    loaded = ERL.load(tmp_path / "erl", pendulum(), replay_buffer=True, device="cpu")
    assert loaded.arguments() == erl.arguments()
    assert loaded.num_timesteps == 16
    for one in (erl, loaded):  # a generation more, without the learner's global draws
        one.model.num_timesteps += 8
        one.model.set_logger(erl.model.logger)
        one.evolve_if_due()
    first, second = (one.state_dict()["population"] for one in (erl, loaded))
    assert {**first, "seconds": 0}.keys() == second.keys()
    for name, value in first.items():
        if name != "seconds":
            same = (
                torch.equal(value, second[name])
                if torch.is_tensor(value)
                else value == second[name]
            )
            assert same, name
    assert np.array_equal(erl.model.replay_buffer.rewards, loaded.model.replay_buffer.rewards)
    assert loaded.learn(8, reset_num_timesteps=False).num_timesteps == 32


def test_without_being_asked_no_pickle_is_written(tmp_path: Path) -> None:
    erl = small_erl().learn(8)
    erl.save(tmp_path / "erl")
    erl.save(tmp_path / "erl")  # replaces its own folder
    assert {path.name for path in (tmp_path / "erl").iterdir()} == {"hybrid.json", "save-2"}
    names = {path.name for path in (tmp_path / "erl" / "save-2").iterdir()}
    assert names == {"learner-0.zip", "state"}
    assert [path.name for path in tmp_path.iterdir()] == ["erl"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(StructuredLayersError, match="holds other files"):
        erl.save(tmp_path / "other")


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    small_erl().save(tmp_path / "erl")
    description = tmp_path / "erl" / "hybrid.json"
    description.write_text(description.read_text().replace("TD3", "SAC"))
    with pytest.raises(CheckpointError, match="checksum"):
        ERL.load(tmp_path / "erl", pendulum())
    with pytest.raises(CheckpointError, match="does not exist"):
        ERL.load(tmp_path / "nothing", pendulum())


def test_an_interrupted_generation_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    erl, whole = small_erl().learn(8), small_erl().learn(8)
    state, size = erl.state_dict()["population"], erl.model.replay_buffer.size()
    module = "structured_layers.integrations.sb3.erl.evolved_population"

    def interrupted(*args: Any, **keywords: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.rollout", interrupted)
        with pytest.raises(KeyboardInterrupt):
            erl.learn(8, reset_num_timesteps=False)
    after = erl.state_dict()["population"]
    assert torch.equal(state["weights"], after["weights"])
    assert torch.equal(state["generator"], after["generator"])
    assert (after["generation"], erl.model.replay_buffer.size()) == (1, size)
    erl.save(tmp_path / "erl")
    for one in (erl, whole):
        one.evolve_if_due()
    assert torch.equal(erl.population.weights, whole.population.weights)


def test_a_save_that_is_killed_leaves_the_one_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, erl = tmp_path / "erl", small_erl().learn(8)

    class Killed(BaseException):
        pass

    def killed(*args: Any, **keywords: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(shutil, "rmtree", lambda *args, **keywords: None)  # the dead tidy nothing
        with pytest.raises(Killed):
            erl.save(folder)
    assert [path.name for path in folder.iterdir()] == ["save-1"]
    erl.save(folder)
    weights = erl.population.weights
    erl.learn(8, reset_num_timesteps=False)
    with monkeypatch.context() as patch:
        patch.setattr("structured_layers.integrations.sb3.erl.saving.write_sealed_json", killed)
        patch.setattr(shutil, "rmtree", lambda *args, **keywords: None)
        with pytest.raises(Killed):
            erl.save(folder)
    assert torch.equal(ERL.load(folder, pendulum(), device="cpu").population.weights, weights)
    erl.save(folder)  # what was left behind is removed
    assert len(list(folder.iterdir())) == 2
    assert ERL.load(folder, pendulum(), device="cpu").population.generation == 2


def test_a_save_that_fails_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    erl = small_erl()

    def full(*args: Any, **keywords: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(erl.model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        erl.save(tmp_path / "erl")
    assert not list((tmp_path / "erl").iterdir())


def test_learners_of_another_training_are_noticed(tmp_path: Path) -> None:
    small_erl().save(tmp_path / "one")
    small_erl(small_learner(seed=5)).save(tmp_path / "other")
    shutil.copy(tmp_path / "other/save-1/learner-0.zip", tmp_path / "one/save-1/learner-0.zip")
    with pytest.raises(CheckpointError, match="of another training"):
        ERL.load(tmp_path / "one", pendulum())


def test_the_callable_of_the_environment_is_asked_for(tmp_path: Path) -> None:
    small_erl(env=pendulum).save(tmp_path / "erl")
    with pytest.raises(StructuredLayersError, match="pass that callable as population_env="):
        ERL.load(tmp_path / "erl", pendulum())
    loaded = ERL.load(tmp_path / "erl", pendulum(), population_env=pendulum, device="cpu")
    assert loaded.population.environment.env is pendulum
    small_erl().save(tmp_path / "named")
    with pytest.raises(StructuredLayersError, match="acts in Pendulum-v1; leave population_env"):
        ERL.load(tmp_path / "named", pendulum(), population_env=pendulum)


def test_numbers_of_numpy_can_be_saved(tmp_path: Path) -> None:
    erl = small_erl(
        env="Pendulum-v1",
        env_config={"g": np.float32(9.0), "max_episode_steps": np.int64(10)},
        population_size=np.int64(3),
        steps_per_generation=np.int64(8),
        settings={"tournament_size": np.int64(2)},
        seed=np.int64(4),
    )
    erl.save(tmp_path / "erl")
    assert ERL.load(tmp_path / "erl", pendulum(), device="cpu").arguments() == erl.arguments()
