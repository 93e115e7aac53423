"""States that are taken up whole, by the search that they were saved of, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from structured_layers.errors import StructuredLayersError
from structured_layers.files import DAMAGE
from structured_layers.interruptions import interrupts_held

_NAMED_LATER = ("estimator", "space")
"""What the first states did not say of themselves; from them it is not asked."""

State = Mapping[str, Any]


def check_kind(what: str, kind: State, given: Any) -> None:
    """Raise StructuredLayersError unless a state is of the kind of the object that takes it up."""
    described = dict(given) if isinstance(given, Mapping) else {}
    for name in _NAMED_LATER:
        if name in kind:
            described.setdefault(name, kind[name])
    if described != kind:
        raise StructuredLayersError(
            f"this {what} is {kind}, the state is of {given}; make the {what} with the settings "
            f"of the one that was saved"
        )


def take_up_whole(what: str, take_up: Callable[[State], None], before: State, state: State) -> None:
    """Call ``take_up(state)``; if that fails, put back what was there before.

    Args:
        what: names the object in the error.
        take_up: changes the object.
        before: the state of the object.
        state: the one to take up.

    Raises:
        StructuredLayersError: the state does not fit; nothing has changed.
    """
    try:
        take_up(state)
    except BaseException as error:
        with interrupts_held():
            take_up(before)
        if isinstance(error, DAMAGE) and not isinstance(error, StructuredLayersError):
            raise StructuredLayersError(
                f"the state does not fit this {what}, which stays as it was: "
                f"{type(error).__name__}: {error}; load one that was saved of the same {what}"
            ) from error
        raise


def name_of(part: Any) -> str:
    """Return the name of a function, or of the class of anything else."""
    return str(getattr(part, "__qualname__", type(part).__qualname__))
