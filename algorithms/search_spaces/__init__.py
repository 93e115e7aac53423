"""What a controller decides: colourings and edge sets as vectors of integers."""

from .base import SearchSpace
from .coloring import Coloring
from .edge_subset import EdgeSubset

__all__ = ["Coloring", "EdgeSubset", "SearchSpace"]
