"""Compact policies: structured layers, searches that train them, and ways to run them.

Only PyTorch and NumPy are imported here; ``structured_layers.algorithms`` and
``structured_layers.integrations`` bring the searches and the simulators.
"""

from .errors import CheckpointError, MissingDependencyError, StructuredLayersError
from .layers import (
    ChromaticLinear,
    CirculantLinear,
    MaskedLinear,
    Palette,
    StructuredLinear,
    ToeplitzLinear,
    tie_palettes_,
)
from .networks import mlp
from .policy import Policy, load_policy
from .population import PopulationPolicy
from .topology import topology_size, topology_to_vector, vector_to_topology

__all__ = [
    "CheckpointError",
    "ChromaticLinear",
    "CirculantLinear",
    "MaskedLinear",
    "MissingDependencyError",
    "Palette",
    "Policy",
    "PopulationPolicy",
    "StructuredLayersError",
    "StructuredLinear",
    "ToeplitzLinear",
    "load_policy",
    "mlp",
    "tie_palettes_",
    "topology_size",
    "topology_to_vector",
    "vector_to_topology",
]
