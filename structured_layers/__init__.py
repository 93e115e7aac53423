"""Compact policies: structured layers, searches that train them, and ways to run them.

Only PyTorch and NumPy are imported here; ``structured_layers.algorithms`` and
``structured_layers.integrations`` bring the searches and the simulators.
"""

from .conversion import convert_, to_dense
from .errors import CheckpointError, MissingDependencyError, StructuredLayersError
from .layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LatentLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    Palette,
    SoftMaskedLinear,
    StructuredLinear,
    ToeplitzLinear,
    UnitActivations,
    WeightDecoder,
    tie_palettes_,
)
from .metrics import summarize
from .networks import SkipMLP, mlp
from .policy import Policy, load_policy
from .population import PopulationPolicy
from .topology import topology_size, topology_to_vector, vector_to_topology

__all__ = [
    "CheckpointError",
    "ChromaticLinear",
    "CirculantLinear",
    "HankelLinear",
    "LatentLinear",
    "LowDisplacementRankLinear",
    "MaskedLinear",
    "MissingDependencyError",
    "Palette",
    "Policy",
    "PopulationPolicy",
    "SkipMLP",
    "SoftMaskedLinear",
    "StructuredLayersError",
    "StructuredLinear",
    "ToeplitzLinear",
    "UnitActivations",
    "WeightDecoder",
    "convert_",
    "load_policy",
    "mlp",
    "summarize",
    "tie_palettes_",
    "to_dense",
    "topology_size",
    "topology_to_vector",
    "vector_to_topology",
]
