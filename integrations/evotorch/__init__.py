"""EvoTorch problems that evaluate policies, and runs of searches on them."""

from .evaluation import evaluate_policy
from .normalizer import ObservationNormalizer
from .policy_problem import PolicyProblem

__all__ = ["ObservationNormalizer", "PolicyProblem", "evaluate_policy"]
