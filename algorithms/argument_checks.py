"""What the arguments of a search must be, each refused under its own name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from structured_layers.errors import StructuredLayersError

Center = Tensor | NDArray[Any] | Sequence[float]
"""What a search takes as its start: (d,) numbers."""


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise StructuredLayersError unless ``value`` is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise StructuredLayersError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def check_integer(
    name: str, value: Any, minimum: int, maximum: int | None = None, meaning: str = ""
) -> None:
    """Raise StructuredLayersError unless ``value`` is an integer within its limits."""
    if _is(value, Integral) and minimum <= value and (maximum is None or value <= maximum):
        return
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise StructuredLayersError(f"{name} must be an integer {limits}{meaning}, got {value!r}")


def check_positive(name: str, value: Any) -> None:
    """Raise StructuredLayersError unless ``value`` is a positive, finite number."""
    if not _is(value, Real) or not 0 < value < math.inf:
        raise StructuredLayersError(f"{name} must be a positive, finite number, got {value!r}")


def check_range(name: str, value: Any, maximum: float = math.inf) -> None:
    """Raise StructuredLayersError unless ``value`` is a finite number from 0 to ``maximum``."""
    if not _is(value, Real) or not 0 <= value <= maximum or value == math.inf:
        limits = "of at least 0" if maximum == math.inf else f"from 0 to {maximum:g}"
        raise StructuredLayersError(f"{name} must be a finite number {limits}, got {value!r}")


def check_weight_decay(weight_decay: Any, step_size: float) -> None:
    """Raise StructuredLayersError unless 0 ≤ λη < 1, so that weights shrink and keep their sign."""
    if not _is(weight_decay, Real) or not 0 <= weight_decay * step_size < 1:
        raise StructuredLayersError(
            f"weight_decay must be at least 0 and below 1/{step_size:g}, one over the step size, "
            f"got {weight_decay!r}"
        )


def check_schedule_argument(name: str, schedule: Any) -> None:
    """Raise StructuredLayersError unless ``schedule`` can be called, or is None."""
    if schedule is not None and not callable(schedule):
        raise StructuredLayersError(
            f"{name} must be a function from the generation to a factor, such as a NamedSchedule, "
            f"or None, got {schedule!r}"
        )


def check_seed(seed: Any) -> None:
    """Raise StructuredLayersError unless ``seed`` is None or an integer of 64 bits."""
    if seed is not None and (not _is(seed, Integral) or not 0 <= seed < 2**64):
        raise StructuredLayersError(f"seed must be an integer from 0 to 2**64 - 1, got {seed!r}")


def center_tensor(
    center_init: Center, length: int, dtype: torch.dtype, meaning: str, name: str = "center_init"
) -> Tensor:
    """Return θ at the start as a tensor of its own.

    Args:
        center_init: a tensor, an array or a sequence of numbers.
        length: d.
        dtype: of the result.
        meaning: what d is, for the error.
        name: of the argument, for the error.

    Returns:
        (d,)

    Raises:
        StructuredLayersError: another shape, or numbers that are not finite.
    """
    try:
        # a plain tensor: EvoTorch hands out read-only ones
        center = torch.as_tensor(center_init).detach().as_subclass(Tensor).to(dtype, copy=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StructuredLayersError(
            f"{name} must be {length} numbers, got {center_init!r}"
        ) from error
    if tuple(center.shape) != (length,):
        raise StructuredLayersError(
            f"{name} must have shape ({length},){meaning}, got {tuple(center.shape)}"
        )
    if not bool(center.isfinite().all()):
        raise StructuredLayersError(
            f"{name} must be finite, got {int((~center.isfinite()).sum())} of {length} "
            f"entries that are not"
        )
    return center


def _is(value: Any, kind: type) -> bool:
    """Return whether ``value`` is a number of this kind; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
