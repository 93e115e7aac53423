"""The Ray actors of a problem, and new ones in the place of those that died or hang."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ray
from evotorch.core import EvaluationActor
from ray.exceptions import RayError, RayTaskError

from structured_layers.errors import EvaluationError

if TYPE_CHECKING:
    from .policy_problem import PolicyProblem

START_LIMIT = 300.0
"""Seconds in which an actor has to be up; it imports its libraries and makes its simulator."""

MAX_FAILED_STARTS = 3
"""So many actors in a row may die while they start."""


class Crew:
    """Actors in numbered places; one is handed work only after it has made its simulator.

    The problem is put into Ray's store once, as it is before it has actors, and every actor, late
    ones too, starts from there.

    Args:
        problem: what the actors evaluate.
        size: how many.
        options: Ray's options of an actor.

    Attributes:
        actors: in their places.
        idle: places whose actors wait for work.
    """

    def __init__(self, problem: PolicyProblem, size: int, options: Mapping[str, Any]) -> None:
        """Start all actors, without waiting for them."""
        self._problem = ray.put(problem)
        self._options = dict(options)
        self._starting: dict[Any, tuple[int, float]] = {}
        self._failed_starts = 0
        self.actors: list[Any] = [None] * size
        self.idle: list[int] = []
        for place in range(size):
            self._start(place)

    @property
    def starting(self) -> list[Any]:
        """References that are ready when an actor is."""
        return list(self._starting)

    @property
    def start_deadline(self) -> float:
        """When the first of the starting actors is late, on the clock of ``time.monotonic``."""
        return min((deadline for _, deadline in self._starting.values()), default=float("inf"))

    def _start(self, place: int) -> None:
        seeds = tuple(4 * place + i for i in range(4))  # of no use: candidates bring their own
        actor = EvaluationActor.options(**self._options).remote(self._problem, place, seeds, {})
        self.actors[place] = actor
        ready = actor.call.remote("prepare", [], {})
        self._starting[ready] = (place, time.monotonic() + START_LIMIT)

    def admit(self, reference: Any) -> None:
        """Take in an actor that is up, or start another in its place.

        Raises:
            EvaluationError: one actor after the other died while it started.
        """
        place, _ = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                raise EvaluationError(
                    f"{self._failed_starts} actors in a row died while they started: {error}"
                ) from error
            self.replace(place)
            return
        self._failed_starts = 0
        self.idle.append(place)

    def check_starts(self) -> None:
        """Refuse to wait any longer for an actor that is late."""
        if time.monotonic() > self.start_deadline:
            raise EvaluationError(
                f"an actor was not up after {START_LIMIT:.0f} s; does the environment start there, "
                "and has the cluster a free core for each actor?"
            )

    def replace(self, place: int) -> None:
        """End the actor in a place, whatever it does, and start another."""
        with contextlib.suppress(RayError, ValueError):  # it may be dead already
            ray.kill(self.actors[place], no_restart=True)
        self._start(place)
