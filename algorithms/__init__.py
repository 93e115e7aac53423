"""EvoTorch searches that train compact policies, with and without a search for their structure."""

from .augmented_random_search import ARS
from .baselines import Baseline, MeanBaseline, StructureBaseline
from .controllers import Controller, FixedPopulation, RandomSearch, RegularizedEvolution
from .es_enas import ESENAS
from .evolution_strategy import ES
from .schedules import NamedSchedule
from .search_spaces import Coloring, EdgeSubset, SearchSpace
from .sensing_estimators import Estimator
from .structured_evolution import StructuredEvolution, structured_evolution_network

__all__ = [
    "ARS",
    "ES",
    "ESENAS",
    "Baseline",
    "Coloring",
    "Controller",
    "EdgeSubset",
    "Estimator",
    "FixedPopulation",
    "MeanBaseline",
    "NamedSchedule",
    "RandomSearch",
    "RegularizedEvolution",
    "SearchSpace",
    "StructureBaseline",
    "StructuredEvolution",
    "structured_evolution_network",
]
