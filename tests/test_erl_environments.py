"""The environments that ERL is trained, loaded and saved in."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from erl_cases import STEPS, pendulum, small_learner
from stable_baselines3.common.vec_env import DummyVecEnv

from structured_layers import StructuredLayersError
from structured_layers.errors import CheckpointError
from structured_layers.integrations.sb3.erl import CERL, ERL

QUICK: dict[str, Any] = {"population_size": 3, "steps_per_generation": 8}
OTHER = "MountainCarContinuous-v0"
EXAMPLE = Path(__file__).parents[1] / "examples" / "erl.py"


def test_arguments_of_no_environment_are_refused() -> None:
    with pytest.raises(StructuredLayersError, match="env_config .* env= .* none is named"):
        ERL(small_learner(), env_config={"g": 9.8}, **QUICK)
    erl = ERL(small_learner(), env="Pendulum-v1", env_config={"g": 9.8}, **QUICK)
    assert erl.population.environment == ("Pendulum-v1", {"g": 9.8})


def test_an_id_is_enough_to_go_on(tmp_path: Path) -> None:
    ERL(small_learner(), **QUICK).save(tmp_path)
    erl = ERL.load(tmp_path, "Pendulum-v1", device="cpu").learn(8, reset_num_timesteps=False)
    assert erl.model.get_env().get_attr("spec")[0].id == "Pendulum-v1"
    assert erl.population.env_steps == 3 * STEPS  # the population's episodes are as they were


@pytest.mark.parametrize("kind", [ERL, CERL])
def test_another_environment_is_not_the_folders_fault(kind: Any, tmp_path: Path) -> None:
    models = [small_learner(), small_learner()] if kind is CERL else [small_learner()]
    kind.of_learners(models, **QUICK).save(tmp_path)
    for env in (OTHER, gymnasium.make(OTHER), DummyVecEnv([lambda: gymnasium.make(OTHER)])):
        with pytest.raises(StructuredLayersError, match="env has another observation_sp") as error:
            kind.load(tmp_path, env, device="cpu")
        assert not isinstance(error.value, CheckpointError)
    with pytest.raises(StructuredLayersError, match="env='Pendulum-v9' cannot be made"):
        kind.load(tmp_path, "Pendulum-v9", device="cpu")
    with pytest.raises(StructuredLayersError, match="env must be the environment .* got None"):
        kind.load(tmp_path, None, device="cpu")


def test_other_actions_are_named(tmp_path: Path) -> None:
    ERL(small_learner(), **QUICK).save(tmp_path)
    bounds = (np.float32(-1), np.float32(1))
    rescaled = gymnasium.wrappers.RescaleAction(pendulum(), *bounds)
    with pytest.raises(StructuredLayersError, match="env has another action_space"):
        ERL.load(tmp_path, rescaled, device="cpu")


def test_the_folder_of_the_process_can_be_saved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    erl = ERL(small_learner(), **QUICK)
    erl.save(".")
    erl.save(".")
    assert ERL.load(".", pendulum(), device="cpu").arguments() == erl.arguments()


def test_the_example_says_that_actions_must_be_continuous() -> None:
    example = runpy.run_path(str(EXAMPLE))
    with pytest.raises(AssertionError, match=r"Discrete\(2\)"):  # Stable-Baselines3's
        example["make_learner"](example["Args"](env="CartPole-v1"))
