"""Which values the arguments of environments may have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from structured_layers.errors import StructuredLayersError

MAX_FRAME_SKIP = 2**31 - 1
"""What MuJoCo counts its steps with has 32 bits."""


def is_integer(value: Any) -> bool:
    """Return whether it is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether it is a real number that a float can hold, infinity included."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:
        return False


def is_finite(value: Any) -> bool:
    """Return whether it is a finite real number."""
    return is_number(value) and math.isfinite(float(value))


Rule = tuple[str, Callable[[Any], bool]]
NUMBER: Rule = ("a finite number", is_finite)
RULES: dict[str, Rule] = {
    "frame_skip": (
        "an integer of at least 1 and below 2**31",
        lambda value: is_integer(value) and 1 <= value <= MAX_FRAME_SKIP,
    ),
    "reset_noise_scale": (
        "a finite number of at least 0",
        lambda value: is_finite(value) and value >= 0,
    ),
}
"""Of arguments that many environments have."""


def check_numbers(**arguments: Any) -> None:
    """Refuse arguments that are not what `RULES` says of their names, or no finite numbers."""
    for name, value in arguments.items():
        wanted, is_right = RULES.get(name, NUMBER)
        if not is_right(value):
            raise StructuredLayersError(f"{name} must be {wanted}, got {shown(value)}")


def shown(value: Any) -> str:
    """Value and type for a message; Python refuses to print integers that are very long."""
    try:
        text = repr(value)
    except ValueError:
        text = "a very long number"
    short = text if len(text) <= 100 else f"{text[:97]}..."
    return f"{short} ({type(value).__name__})"
