"""The types that the settings of a run must have where they are read from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from structured_layers.errors import CheckpointError

_INTEGERS = (
    "dense_steps", "total_steps", "seed", "popsize", "center_evaluations", "num_episodes",
    "num_elites",
)  # fmt: skip
_OPTIONAL_INTEGERS = (
    "num_colors", "num_edges", "controller_population", "num_mutations", "num_top", "num_observed",
    "phase_length", "target_edges", "top",
)  # fmt: skip
_PATHS = ("init_from", "init_vecnormalize", "init_topologies")
_FLAGS = (
    "output_bias", "skip", "observation_normalization", "slope", "alive_bonus", "zero_init",
    "paired_structures",
)  # fmt: skip
_NUMBERS = (
    "dense_share", "stdev", "learning_rate", "weight_decay", "learning_rate_final", "stdev_final",
    "objective_shift",
)  # fmt: skip
_OPTIONAL_NUMBERS = ("cost_weight", "cost_limit")


def _one_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _list_of(*kinds: type, optional: bool = True) -> Callable[[Any], bool]:
    def is_right(value: Any) -> bool:
        if value is None:
            return optional
        return isinstance(value, list) and all(type(entry) in kinds for entry in value)

    return is_right


_RULES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_PATHS, _one_of(str, NoneType)),
    **dict.fromkeys(_INTEGERS, _one_of(int)),
    **dict.fromkeys(_OPTIONAL_INTEGERS, _one_of(int, NoneType)),
    **dict.fromkeys(_FLAGS, _one_of(bool)),
    **dict.fromkeys(_NUMBERS, _one_of(int, float)),
    **dict.fromkeys(_OPTIONAL_NUMBERS, _one_of(int, float, NoneType)),
    "hidden": _list_of(int, optional=False),
    "edges_per_layer": _list_of(int),
    "unit_activations": _list_of(str),
    "target_exponents": _list_of(int, float),
    "env_config": _one_of(dict),
}


def check_types(data: Mapping[str, Any]) -> None:
    """Refuse settings of a type that would only fail later, or silently mean something else.

    Raises:
        CheckpointError: naming them.
    """
    wrong = [f"{n}={data[n]!r}" for n, is_right in _RULES.items() if not is_right(data[n])]
    if wrong:
        raise CheckpointError(f"these settings have the wrong type: {', '.join(wrong)}")
