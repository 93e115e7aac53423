"""The Ray actors of a problem, and new ones in the place of those that died or hang."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

import ray
from evotorch import Problem
from evotorch.core import EvaluationActor
from ray.exceptions import RayError, RayTaskError

from structured_layers.errors import EvaluationError

START_LIMIT = 300.0
"""Seconds in which an actor has to be up; it imports its libraries and makes its simulator."""

MAX_FAILED_STARTS = 3
"""So many actors in a row may die while they start."""

logger = logging.getLogger(__name__)


class Crew:
    """Actors in numbered places; one is handed work only after it has made its simulator.

    The problem is put into Ray's store once, as it is before it has actors, and every actor, late
    ones too, starts from there. When actors cannot start, all that are starting are ended, so that
    :meth:`muster` tries anew.

    Args:
        problem: what the actors evaluate; its method ``prepare`` makes what they need for that.
        size: how many.
        options: Ray's options of an actor.

    Attributes:
        actors: in their places; None where nobody is.
        idle: places whose actors wait for work.
    """

    def __init__(self, problem: Problem, size: int, options: Mapping[str, Any]) -> None:
        """Start all actors, without waiting for them."""
        self._problem = ray.put(problem)
        self._options = dict(options)
        self._starting: dict[Any, tuple[int, float]] = {}
        self._failed_starts = 0
        self.actors: list[Any] = [None] * size
        self.idle: list[int] = []
        self.muster()

    def muster(self) -> None:
        """Start an actor in every empty place."""
        for place, actor in enumerate(self.actors):
            if actor is None:
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
            Exception: what its simulator's maker raised.
        """
        place, _ = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayTaskError as error:
            self.dismiss(place)
            self._give_up_starting()
            raise error.cause from error
        except RayError as error:
            self.dismiss(place)
            self._failed_starts += 1
            if self._failed_starts < MAX_FAILED_STARTS:
                self._start(place)
                return
            self._give_up_starting()
            raise EvaluationError(
                f"{MAX_FAILED_STARTS} actors in a row died while they started: {error}"
            ) from error
        self._failed_starts = 0
        self.idle.append(place)

    def check_starts(self, *, others_work: bool) -> None:
        """Start another actor in place of one that is late; refuse to wait if nobody works.

        Raises:
            EvaluationError: an actor is late, and nobody works meanwhile.
        """
        now = time.monotonic()
        late = [(ready, place) for ready, (place, limit) in self._starting.items() if now >= limit]
        reason = f"an actor was not up after {START_LIMIT:g} s"
        if late and not others_work:
            self._give_up_starting()
            raise EvaluationError(
                f"{reason}; does the environment start there, and has the cluster a free core for "
                "each actor?"
            )
        for ready, place in late:
            logger.warning("%s; another one starts in its place", reason)
            del self._starting[ready]
            self.replace(place)

    def _give_up_starting(self) -> None:
        """End all starting actors: what they are waited for has failed."""
        for place, _ in self._starting.values():
            self.dismiss(place)
        self._starting.clear()
        self._failed_starts = 0

    def dismiss(self, place: int) -> None:
        """End the actor in a place, whatever it does."""
        with contextlib.suppress(RayError, ValueError):  # it may be dead already
            ray.kill(self.actors[place], no_restart=True)
        self.actors[place] = None

    def disband(self) -> None:
        """End all actors."""
        for place in range(len(self.actors)):
            self.dismiss(place)
        self._starting.clear()
        self.idle.clear()

    def replace(self, place: int) -> None:
        """End the actor in a place, whatever it does, and start another."""
        self.dismiss(place)
        self._start(place)
