"""EvoTorch searches that train compact policies, with and without a search for their structure."""

from .controllers import Controller, FixedPopulation, RandomSearch, RegularizedEvolution
from .es_enas import ESENAS
from .evolution_strategy import ES
from .search_spaces import Coloring, EdgeSubset, SearchSpace

__all__ = [
    "ES",
    "ESENAS",
    "Coloring",
    "Controller",
    "EdgeSubset",
    "FixedPopulation",
    "RandomSearch",
    "RegularizedEvolution",
    "SearchSpace",
]
