"""Handing chunks to actors as they become free, past actors that die and candidates that hang."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from structured_layers.errors import EvaluationError

from .crew import Crew
from .fitness import MAX_FAILED_SHARE
from .rollouts import Candidates, Rollouts
from .time_limits import ChunkTimeout, chunk_limit

SPLIT_AFTER, LOST_AFTER = 2, 4
"""Deaths of actors after which a chunk's candidates run singly, and one is given up."""

PAUSE_PER_ACTOR = 5e-6
"""Seconds between something being ready and the next look, for each actor that is waited for: a
look takes longer the more there are, and results that come close together are taken in at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A chunk of a generation that is still to be evaluated.

    Attributes:
        start: number of its first candidate.
        candidates: what an actor is sent.
        deaths: how many actors have died over these candidates.
    """

    start: int
    candidates: Candidates
    deaths: int = 0

    def singly(self) -> list[Job]:
        """Return its candidates as jobs of their own."""
        return [
            Job(self.start + row, self.candidates[row : row + 1], self.deaths)
            for row in range(len(self.candidates))
        ]

    def __str__(self) -> str:
        """Name its candidates."""
        last = self.start + len(self.candidates) - 1
        return (
            f"candidate {self.start}" if last == self.start else f"candidates {self.start}–{last}"
        )


@dataclass(frozen=True)
class _Task:
    job: Job
    place: int
    started: float
    limit: float


class Dispatch:
    """The evaluation of one generation on a crew of actors.

    A chunk whose actor dies is handed out again; if it dies once more, the candidates run singly,
    so that one which kills its process costs itself alone. A chunk that takes longer than its limit
    loses its actor, and its candidates run singly; the one that hangs then is given up. None of
    this changes the numbers of the other candidates.

    Args:
        crew: who evaluates.
        chunks: the generation, in order.
        steps_per_candidate: environment steps that a candidate may take.
        chunk_timeout: see :func:`~.time_limits.chunk_limit`.
        observation_size: of the rows of candidates that are given up.
        strict: whether a death or a late chunk is an error.

    Attributes:
        num_replaced: actors that died or were ended.
    """

    def __init__(
        self,
        crew: Crew,
        chunks: Sequence[Candidates],
        *,
        steps_per_candidate: int,
        chunk_timeout: ChunkTimeout,
        observation_size: int,
        strict: bool,
    ) -> None:
        """Queue the chunks."""
        self._crew = crew
        self._steps, self._timeout = steps_per_candidate, chunk_timeout
        self._observation_size, self._strict = observation_size, strict
        self._waiting: deque[Job] = deque()
        start = 0
        for chunk in chunks:
            self._waiting.append(Job(start, chunk))
            start += len(chunk)
        self._busy: dict[Any, _Task] = {}
        self._results: dict[int, Rollouts] = {}
        self._num_candidates, self._num_lost = start, 0
        self.num_replaced = 0

    def run(self) -> list[Rollouts]:
        """Return the rows of all candidates, in parts, in order.

        Raises:
            EvaluationError: no actor comes up, over 40 % of the candidates are given up, or, if
                strict, an actor died or was late.
        """
        self._crew.muster()
        try:
            while self._waiting or self._busy:
                self._hand_out()
                for reference in self._finished():
                    self._take_in(reference)
                self._end_late_ones()
        except BaseException:
            for task in self._busy.values():  # on chunks that nobody waits for any more
                self._crew.dismiss(task.place)
            raise
        return [self._results[start] for start in sorted(self._results)]

    def _hand_out(self) -> None:
        while self._waiting and self._crew.idle:
            job, place = self._waiting.popleft(), self._crew.idle.pop()
            actor = self._crew.actors[place]
            reference = actor.call.remote("evaluate_candidates", [job.candidates], {})
            limit = chunk_limit(self._timeout, len(job.candidates) * self._steps)
            self._busy[reference] = _Task(job, place, time.monotonic(), limit)

    def _finished(self) -> list[Any]:
        """Wait for something to happen; return what is ready by then."""
        references = [*self._busy, *self._crew.starting]
        deadlines = [task.started + task.limit for task in self._busy.values()]
        left = min([*deadlines, self._crew.start_deadline]) - time.monotonic()
        timeout = None if left == math.inf else max(left, 0.0)
        ready, rest = ray.wait(references, num_returns=1, timeout=timeout)
        if ready and rest:
            time.sleep(PAUSE_PER_ACTOR * len(rest))
            ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return list(ready)

    def _take_in(self, reference: Any) -> None:
        if reference not in self._busy:
            self._crew.admit(reference)
            return
        task = self._busy.pop(reference)
        try:
            self._results[task.job.start] = ray.get(reference)
            self._crew.idle.append(task.place)
        except RayTaskError as error:
            self._crew.idle.append(task.place)
            raise error.cause from error
        except RayError as error:
            self._replace(task, f"the actor of {task.job} died: {_first_line(error)}")
            self._after_death(task.job)

    def _after_death(self, job: Job) -> None:
        job = replace(job, deaths=job.deaths + 1)
        if len(job.candidates) > 1:
            again = job.singly() if job.deaths >= SPLIT_AFTER else [job]
            self._waiting.extendleft(reversed(again))
        elif job.deaths < LOST_AFTER:
            self._waiting.appendleft(job)
        else:
            self._give_up(job, f"{job} ended its process again and again")

    def _end_late_ones(self) -> None:
        now = time.monotonic()
        late = [(r, task) for r, task in self._busy.items() if now >= task.started + task.limit]
        for reference, task in late:
            del self._busy[reference]
            reason = f"{task.job} took longer than {task.limit:g} s"
            self._replace(task, reason)
            if len(task.job.candidates) > 1:
                self._waiting.extendleft(reversed(task.job.singly()))
            else:
                self._give_up(task.job, reason)
        self._crew.check_starts(others_work=bool(self._busy or self._crew.idle))

    def _replace(self, task: _Task, reason: str) -> None:
        self.num_replaced += 1
        self._crew.replace(task.place)
        if self._strict:
            raise EvaluationError(f"{reason} (strict: nothing may fail)")
        logger.warning("%s; another actor takes its place", reason)

    def _give_up(self, job: Job, reason: str) -> None:
        self._results[job.start] = Rollouts.lost(self._observation_size, reason)
        self._num_lost += 1
        if self._num_lost > MAX_FAILED_SHARE * self._num_candidates:
            # the whole generation would be refused in the end, after as long a wait for each
            raise EvaluationError(
                f"{self._num_lost} of {self._num_candidates} candidates are lost already (more "
                f"than {MAX_FAILED_SHARE:.0%}); the last failure was: {reason}"
            )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
