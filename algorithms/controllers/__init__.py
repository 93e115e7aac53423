"""Who proposes the structures: ask and tell."""

from .base import Controller
from .fixed_population import FixedPopulation
from .local_search import LocalSearch
from .policy_gradient import PolicyGradient
from .pyglove_controller import PyGloveController
from .random_search import RandomSearch
from .regularized_evolution import RegularizedEvolution
from .replay import Replay

__all__ = [
    "Controller",
    "FixedPopulation",
    "LocalSearch",
    "PolicyGradient",
    "PyGloveController",
    "RandomSearch",
    "RegularizedEvolution",
    "Replay",
]
