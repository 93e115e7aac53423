"""Published searches by name, as settings of a run."""

from __future__ import annotations

from typing import Any, Literal

from structured_layers.algorithms.augmented_random_search import (
    ARS_SETTINGS,
    V1_SETTINGS,
    ARSSettings,
)
from structured_layers.algorithms.structured_evolution import structured_evolution_network

from ..simulators import make_simulator
from .spaces import actions_of

Preset = Literal[
    "ars-v1", "ars-v1-t", "ars-v2", "ars-v2-t", "stst", "stst-hadamard", "stun", "unun"
]

OTHER_TASKS = ARSSettings(num_directions=8, num_top=4, step_size=0.02, noise=0.03)
"""For environments without published settings of ARS."""


def preset_settings(preset: Preset, env: str) -> dict[str, Any]:
    """Return the settings of a :class:`~.run_config.RunConfig` that a preset decides.

    Args:
        preset: a variant of ARS (with a linear policy) or of structured evolution.
        env: Gymnasium id; ARS has published numbers for some, structured evolution chooses the
            network by its spaces.
    """
    if preset.startswith("ars-"):
        return _ars(preset, env)
    return _structured_evolution(preset, env)


def _ars(preset: str, env: str) -> dict[str, Any]:
    name = env.rpartition("/")[2].partition("-v")[0]
    settings = ARS_SETTINGS.get(name, OTHER_TASKS)
    if preset == "ars-v1":
        settings = V1_SETTINGS.get(name, settings)
    return {
        "structure": "dense",
        "hidden": (),
        "popsize": 2 * settings.num_directions,
        "num_top": settings.num_top if preset.endswith("-t") else None,
        "stdev": settings.noise,
        "learning_rate": 2 * settings.noise * settings.step_size,
        "optimizer": "sgd",
        "ranking_method": "std",
        "center_evaluations": 1,
        "observation_normalization": preset.startswith("ars-v2"),
        "alive_bonus": False,
        "zero_init": True,
    }


def _structured_evolution(preset: str, env: str) -> dict[str, Any]:
    variant, _, kind = preset.upper().partition("-")
    directions = "hadamard" if kind else "orthogonal"
    with make_simulator(env, capacity=1) as simulator:
        observations = simulator.observation_size
        outputs = actions_of(simulator.action_space).num_outputs
    network = structured_evolution_network(variant, observations, outputs, directions=directions)
    return {
        "structure": network.layer,
        "hidden": network.hidden,
        "stdev": 0.02,
        "learning_rate": 0.01,
        "optimizer": "adam",
        "ranking_method": "raw",
        "directions": directions if variant == "STST" else "gaussian",
        "observation_normalization": False,
        "alive_bonus": True,
        "zero_init": False,
    }
