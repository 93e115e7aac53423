"""Checks of settings, which turn NumPy's numbers into plain ones, since JSON takes no others."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from ...errors import StructuredLayersError
from ...layers.base import as_integer


def check_integer_(settings: Any, name: str, least: int) -> None:
    """Make a setting a plain integer, in place.

    Args:
        settings: a dataclass, frozen or not.
        name: of its field.
        least: what it has to be at least.

    Raises:
        StructuredLayersError: if it is no such integer.
    """
    value = getattr(settings, name)
    number = as_integer(value)
    if number is None or number < least:
        raise StructuredLayersError(f"{name} must be an integer of at least {least}, got {value!r}")
    object.__setattr__(settings, name, number)


def check_positive_(settings: Any, name: str) -> None:
    """Make a setting a plain float, in place.

    Raises:
        StructuredLayersError: if it is no finite number above zero.
    """
    value = getattr(settings, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise StructuredLayersError(f"{name} must be a finite number above 0, got {value!r}")
    object.__setattr__(settings, name, float(value))


def check_truth_(settings: Any, name: str) -> None:
    """Make a setting True or False, in place.

    Raises:
        StructuredLayersError: if it is anything else.
    """
    value = getattr(settings, name)
    if not isinstance(value, (bool, np.bool_)):
        raise StructuredLayersError(f"{name} must be True or False, got {value!r}")
    object.__setattr__(settings, name, bool(value))
