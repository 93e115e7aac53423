"""Published searches by name, as settings of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from structured_layers.algorithms.argument_checks import check_choice, check_positive
from structured_layers.algorithms.augmented_random_search import ars_settings
from structured_layers.algorithms.structured_evolution import structured_evolution_network
from structured_layers.errors import StructuredLayersError

from ..simulators import make_simulator
from .run_checks import STARTING
from .run_config import RunConfig
from .run_structure import SEARCHED
from .spaces import actions_of

Preset = Literal[
    "ars-v1", "ars-v1-t", "ars-v2", "ars-v2-t", "clustered", "stst", "stst-hadamard", "stun", "unun"
]

# What makes a preset the search that it is called after; everything else may be asked for.
_FIXED = (
    "optimizer", "ranking_method", "directions", "baseline", "slope", "weight_decay",
    "observation_normalization", "alive_bonus",
)  # fmt: skip
# α follows from the step size and ν, so ν must stay
_FIXED_BY_ARS = (*_FIXED, "estimator", "top_rule", "stdev_schedule")
_FIXED_BY_STRUCTURED_EVOLUTION = (*_FIXED, "structure", "skip", "unit_activations", "num_top")


def preset_settings(
    preset: Preset, env: str, asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the settings of a :class:`~.run_config.RunConfig` that a preset makes.

    Args:
        preset: a variant of ARS (with a linear policy) or of structured evolution, or clustered.
        env: Gymnasium id; ARS has published numbers for some, structured evolution chooses the
            network by its spaces.
        asked: settings that come before the preset's. With ARS ``learning_rate`` is α and ``stdev``
            is ν here; the result holds the step size of the optimizer, 2να.

    Raises:
        StructuredLayersError: what is asked for contradicts what makes the preset.
    """
    asked = {} if asked is None else asked
    if preset.startswith("ars-"):
        settings = _ars(preset, env, asked)
        return _with_optimizer_step(_combined(preset, settings, asked, _FIXED_BY_ARS))
    if preset == "clustered":
        return _clustered(asked)
    settings = _structured_evolution(preset, env, asked.get("env_config"))
    return _combined(preset, settings, asked, _FIXED_BY_STRUCTURED_EVOLUTION)


def _combined(
    preset: str, settings: dict[str, Any], asked: Mapping[str, Any], fixed: Sequence[str]
) -> dict[str, Any]:
    """Return the settings with what is asked for, unless that makes another search of them."""
    if preset in ("ars-v1", "ars-v2"):
        fixed = (*fixed, "num_top")
    for name in fixed:
        value = settings.get(name, getattr(RunConfig, name))
        if name in asked and asked[name] != value:
            raise StructuredLayersError(
                f"--preset {preset} stands for {_option(name, value)}, and "
                f"{_option(name, asked[name])} contradicts it; leave one of the two out"
            )
    return {**settings, **asked}


def _with_optimizer_step(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the step size 2να: ES divides its estimate by 2ν, ARS does not."""
    for name in ("learning_rate", "stdev"):
        check_positive(name, settings[name])
    return {**settings, "learning_rate": 2 * settings["stdev"] * settings["learning_rate"]}


def _ars(preset: str, env: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    settings = ars_settings("V" + preset.removeprefix("ars-v"), env)
    popsize = asked.get("popsize", 2 * settings.num_directions)
    num_top = max(1, min(settings.num_top, popsize // 2))
    return {
        "structure": "dense",
        "hidden": (),
        "popsize": popsize,
        "num_top": num_top if preset.endswith("-t") else None,
        "stdev": settings.noise,
        "learning_rate": settings.step_size,
        "optimizer": "sgd",
        "ranking_method": "std",
        "center_evaluations": 1,
        "observation_normalization": preset.startswith("ars-v2"),
        "alive_bonus": False,
        "zero_init": True,
    }


def _clustered(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that train a dense network, cluster it, and train the few weights."""
    controller = asked.get("controller", "local-search")
    check_choice("the controller of --preset clustered", controller, STARTING)
    structure = asked.get("structure", RunConfig.structure)
    check_choice("the structure of --preset clustered", structure, SEARCHED)
    # by gradients, as a rule, which leave no room for large steps
    is_trained = "init_from" in asked
    dense_steps = asked.get("total_steps", RunConfig.total_steps) * 2 // 3
    settings = {
        "controller": controller,
        "dense_steps": 0 if is_trained or controller == "magnitude" else dense_steps,
        "popsize": 64,
        "center_evaluations": 8 if is_trained else 4,
        "stdev": 0.02 if is_trained else 0.05,
        "learning_rate": 0.005 if is_trained else 0.02,
        "learning_rate_schedule": "linear",
    }
    if controller == "local-search":
        settings["num_mutations"] = 0
    if asked.get("optimizer") == "cmaes":  # which has no step size
        del settings["learning_rate"], settings["learning_rate_schedule"]
    return {**settings, **asked}


def _structured_evolution(
    preset: str, env: str, env_config: Mapping[str, Any] | None
) -> dict[str, Any]:
    variant, _, kind = preset.upper().partition("-")
    directions = "hadamard" if kind else "orthogonal"
    with make_simulator(env, capacity=1, env_config=env_config) as simulator:
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


def _option(name: str, value: Any) -> str:
    """Return a setting as it is written on the command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    words = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return f"no --{flag}" if value is None else f"--{flag} {words}"
