"""Runs name their controllers, and go on bit for bit with those that keep much."""

from pathlib import Path

import pytest
from run_folders import assert_same_run

from structured_layers import StructuredLayersError
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

DRIFT = "drift_envs:Drift-v0"
SMALL = {"hidden": (3,), "popsize": 6, "center_evaluations": 3, "total_steps": 5 * 9 * 30}


@pytest.mark.parametrize(
    "settings",
    [
        {"controller": "policy-gradient"},
        {"controller": "policy-gradient", "controller_algorithm": "reinforce"},
        {"controller": "policy-gradient", "structure": "edges", "num_edges": 6},
        {"num_mutations": 3, "controller_population": 10},
    ],
)
def test_a_run_resumes_to_the_same_numbers(settings: dict, tmp_path: Path) -> None:
    config = RunConfig(DRIFT, **SMALL, **settings)
    Run.create(tmp_path / "undisturbed", config).train()
    stop = iter([False] * 2 + [True])
    Run.create(tmp_path / "stopped", config).train(should_stop=lambda: next(stop))
    Run.resume(tmp_path / "stopped").train()
    assert_same_run(tmp_path / "stopped", tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"controller_algorithm": "a2c"}, "controller_algorithm must be one of reinforce, ppo"),
        (
            {"controller_algorithm": "ppo"},
            "controller_algorithm goes with controller policy-gradient, got controller regularized",
        ),
        (
            {"controller": "policy-gradient", "controller_population": 9},
            "the controller policy-gradient has no population",
        ),
        (
            {"controller": "policy-gradient", "num_mutations": 2},
            "num_mutations goes with controller regularized-evolution or local-search, got",
        ),
    ],
)
def test_settings_without_effect_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        RunConfig(DRIFT, **settings)
