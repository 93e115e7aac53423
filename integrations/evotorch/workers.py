"""Who evaluates and how failures are met: what a run may be given anew at every start."""

from __future__ import annotations

from typing import TypedDict

from .ray_session import NumActors
from .time_limits import ChunkTimeout


class Workers(TypedDict, total=False):
    """Keywords of :class:`~.policy_problem.PolicyProblem` that no setting of a run depends on.

    Attributes:
        num_actors: Ray actors; results do not depend on it.
        ray_address: of an existing cluster.
        chunk_timeout: seconds that an actor may take for a chunk.
        strict: whether anything that fails stops the run.
    """

    num_actors: NumActors
    ray_address: str | None
    chunk_timeout: ChunkTimeout
    strict: bool
