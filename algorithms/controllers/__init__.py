"""Who proposes the structures: ask and tell."""

from .base import Controller
from .fixed_population import FixedPopulation
from .random_search import RandomSearch
from .regularized_evolution import RegularizedEvolution

__all__ = ["Controller", "FixedPopulation", "RandomSearch", "RegularizedEvolution"]
