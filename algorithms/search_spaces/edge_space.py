"""Spaces of edge sets: which edges of a network exist."""

from __future__ import annotations

from abc import abstractmethod

from .base import SearchSpace


class EdgeSpace(SearchSpace):
    """A space whose structures are masks over edges: one where an edge exists, else zero.

    Times a :class:`Coloring` of the same edges it is a :class:`ColoredEdges`.
    """

    @property
    @abstractmethod
    def num_kept(self) -> int | None:
        """How many edges every mask keeps; None if that differs."""
