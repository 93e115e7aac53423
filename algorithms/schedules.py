"""How a step size or a standard deviation changes in the course of a search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from structured_layers.errors import StructuredLayersError

Schedule = Callable[[int], float]
"""Generation, from 0 → factor on the value at the start. One with ``state_dict`` and
``load_state_dict`` has its state kept with the search's."""


def linear(progress: float, final: float) -> float:
    """Return 1 + (f − 1)·p: from 1 at progress p = 0 to f = ``final`` at p = 1."""
    return 1 + (final - 1) * progress


def cosine(progress: float, final: float) -> float:
    """Return f + (1 − f)·(1 + cos πp)/2."""
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def exponential(progress: float, final: float) -> float:
    """Return f^p."""
    return float(final**progress)


def constant(progress: float, final: float) -> float:
    """Return 1."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
}


@dataclass(frozen=True)
class NamedSchedule:
    """A schedule by name: a factor that goes from 1 to ``final`` and then stays there.

    Args:
        name: ``"constant"``, ``"linear"``, ``"cosine"`` or ``"exponential"``.
        num_generations: after how many generations ``final`` is reached.
        final: the factor at the end, positive.

    Raises:
        StructuredLayersError: an unknown name or numbers that do not work.

    Examples:
        >>> schedule = NamedSchedule("linear", num_generations=100, final=0.1)
        >>> [round(schedule(generation), 3) for generation in (0, 50, 100, 500)]
        [1.0, 0.55, 0.1, 0.1]
    """

    name: str
    num_generations: int
    final: float = 0.1

    def __post_init__(self) -> None:
        """Check the name and the numbers."""
        check_schedule(self.name, self.final)
        if self.num_generations < 1:
            raise StructuredLayersError(
                f"num_generations must be at least 1, got {self.num_generations}"
            )

    def __call__(self, generation: int) -> float:
        """Return the factor of a generation."""
        return SCHEDULES[self.name](min(generation / self.num_generations, 1.0), self.final)


def check_schedule(name: str, final: float) -> None:
    """Raise StructuredLayersError unless ``name`` is known and ``final`` a positive number."""
    if name not in SCHEDULES:
        raise StructuredLayersError(
            f"a schedule must be one of {', '.join(SCHEDULES)}, got {name!r}"
        )
    if not 0 < final < math.inf:
        raise StructuredLayersError(f"a schedule's final factor must be positive, got {final}")
