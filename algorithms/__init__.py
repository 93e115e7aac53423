"""EvoTorch searches that train compact policies, with and without a search for their structure."""

from .augmented_random_search import ARS
from .baselines import Baseline, MeanBaseline, StructureBaseline
from .controllers import (
    Controller,
    FixedPopulation,
    LocalSearch,
    PolicyGradient,
    PyGloveController,
    RandomSearch,
    RegularizedEvolution,
    Replay,
)
from .deployed_costs import BitCount, EdgeCount, Latency, MultiplicationCount
from .es_enas import ESENAS
from .evolution_strategy import ES
from .latent.genetic_algorithm import GA
from .latent.latent_es import LatentES
from .latent.latent_ga import LatentGA
from .latent_coloring import LatentColoring
from .magnitude_pruning import MagnitudePruning
from .masked_es import MaskedES
from .objectives import Limit, Penalty, TargetEdges
from .pareto import ParetoArchive
from .schedules import NamedSchedule
from .search_spaces import (
    ColoredEdges,
    Coloring,
    EdgeMask,
    EdgeSpace,
    EdgeSubset,
    LayerwiseEdgeSubset,
    ProductSpace,
    SearchSpace,
    UnitActivationChoice,
)
from .sensing_estimators import Estimator
from .structured_evolution import StructuredEvolution, structured_evolution_network

__all__ = [
    "ARS",
    "ES",
    "ESENAS",
    "GA",
    "Baseline",
    "BitCount",
    "ColoredEdges",
    "Coloring",
    "Controller",
    "EdgeCount",
    "EdgeMask",
    "EdgeSpace",
    "EdgeSubset",
    "Estimator",
    "FixedPopulation",
    "Latency",
    "LatentColoring",
    "LatentES",
    "LatentGA",
    "LayerwiseEdgeSubset",
    "Limit",
    "LocalSearch",
    "MagnitudePruning",
    "MaskedES",
    "MeanBaseline",
    "MultiplicationCount",
    "NamedSchedule",
    "ParetoArchive",
    "Penalty",
    "PolicyGradient",
    "ProductSpace",
    "PyGloveController",
    "RandomSearch",
    "RegularizedEvolution",
    "Replay",
    "SearchSpace",
    "StructureBaseline",
    "StructuredEvolution",
    "TargetEdges",
    "UnitActivationChoice",
    "structured_evolution_network",
]
