"""Some candidates of a generation as an actor is told of them: a seed and where the centre lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import ray
from torch import Tensor

from structured_layers.algorithms.offspring import Described


@dataclass(frozen=True)
class PerturbedRows:
    """The candidates ``start`` to ``stop`` of a perturbation whose centre is in Ray's store.

    The centre is put there once a generation and read by every actor from its machine's shared
    memory, so that a chunk's own size does not depend on the number of weights.

    Args:
        perturbation: its centre is empty, see ``center``.
        center: reference to θ, (d,), or to the parents of offspring.
        start: number of the first candidate.
        stop: number after the last.
    """

    perturbation: Described
    center: ray.ObjectRef[Tensor]
    start: int
    stop: int

    @staticmethod
    def share(perturbation: Described, num_rows: int) -> PerturbedRows:
        """Put the centre into the store and return all rows."""
        reference = ray.put(perturbation.center)
        # an empty slice would carry the memory that it is a slice of
        empty = replace(perturbation, center=perturbation.center.new_empty(0))
        return PerturbedRows(empty, reference, 0, num_rows)

    def __len__(self) -> int:
        """Return the number of candidates."""
        return self.stop - self.start

    def __getitem__(self, rows: slice) -> PerturbedRows:
        """Return the candidates of a slice."""
        start, stop, _ = rows.indices(len(self))
        return replace(self, start=self.start + start, stop=self.start + stop)

    def build(self) -> Tensor:
        """Return the weights (n, d), the bits that the search itself has."""
        center: Tensor = ray.get(self.center)
        return replace(self.perturbation, center=center).rows(self.start, self.stop)
