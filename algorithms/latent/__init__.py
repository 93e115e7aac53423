"""Searches and learning in the latent space of weight autoencoders."""

from .alignment import align, align_all, find_reference
from .fitting import fit_autoencoder, fit_linear_autoencoder
from .linear_codes import output_metric, principal_components, random_projection
from .network_autoencoder import NetworkAutoencoder
from .network_outputs import network_outputs
from .policy_zoo import PolicyZoo, ZooSplit
from .shared_observations import fold_normalizer
from .training import History, Look, TrainingSettings
from .weight_autoencoder import WeightAutoencoder

__all__ = [
    "History",
    "Look",
    "NetworkAutoencoder",
    "PolicyZoo",
    "TrainingSettings",
    "WeightAutoencoder",
    "ZooSplit",
    "align",
    "align_all",
    "find_reference",
    "fit_autoencoder",
    "fit_linear_autoencoder",
    "fold_normalizer",
    "network_outputs",
    "output_metric",
    "principal_components",
    "random_projection",
]
