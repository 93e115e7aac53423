"""An EvoTorch problem whose actors are a crew: they are replaced when they die or hang."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from evotorch import Problem

from structured_layers.errors import StructuredLayersError

from .crew import Crew
from .ray_session import NumActors, ensure_ray, resolve_num_actors
from .time_limits import ChunkTimeout, check_chunk_timeout


class CrewedProblem(Problem):
    """Maximise in float32 what this process or Ray actors evaluate; abstract.

    A subclass has the method ``prepare``, which an actor calls before it is sent work.

    Args:
        solution_length: of the candidates.
        eval_data_length: further numbers of a candidate.
        num_actors: below 2, this process evaluates.
        actor_config: Ray's options of the actors.
        ray_address: of an existing cluster.
        chunk_timeout: seconds that an actor may take for a chunk of candidates.
        strict: whether whatever fails stops the search.
    """

    def __init__(
        self,
        solution_length: int,
        *,
        eval_data_length: int,
        num_actors: NumActors,
        actor_config: Mapping[str, Any] | None,
        ray_address: str | None,
        chunk_timeout: ChunkTimeout,
        strict: bool,
    ) -> None:
        """Start no actors yet."""
        num_actors = resolve_num_actors(num_actors, ray_address)
        check_chunk_timeout(chunk_timeout, num_actors)
        super().__init__(
            "max",
            solution_length=solution_length,
            dtype=torch.float32,
            eval_dtype=torch.float32,
            eval_data_length=eval_data_length,
            num_actors=num_actors,
            actor_config=dict(actor_config or {}),
        )
        self.crew: Crew | None = None
        self._ray_address, self.chunk_timeout, self.strict = ray_address, chunk_timeout, strict

    def _parallelize(self) -> None:
        if self._actors is None and self.num_actors >= 2 and self.is_main:
            ensure_ray(self._ray_address)
            self.crew = Crew(self, self.num_actors, self._actor_config)
            self._actors: list[Any] | None = self.crew.actors  # the same list, as actors change

    def kill_actors(self) -> None:
        """End the actors; the next evaluation starts others."""
        if self.crew is not None:
            self.crew.disband()
        self.crew = self._actors = None

    def sample_and_compute_gradients(self, *args: Any, **options: Any) -> Any:
        """Refuse what ``distributed=True`` of EvoTorch's searches asks of actors."""
        if self.num_actors >= 2:
            raise StructuredLayersError(
                "distributed=True lets actors draw candidates by themselves, whose episodes then "
                "depend on the number of actors; leave it out: actors evaluate all the same"
            )
        return super().sample_and_compute_gradients(*args, **options)
