"""What a controller decides: colours, edges and activations as vectors of integers."""

from .base import SearchSpace
from .colored_edges import ColoredEdges
from .coloring import Coloring
from .edge_mask import EdgeMask
from .edge_space import EdgeSpace
from .edge_subset import EdgeSubset
from .layerwise_edge_subset import LayerwiseEdgeSubset
from .product import ProductSpace
from .unit_activation_choice import UnitActivationChoice

__all__ = [
    "ColoredEdges",
    "Coloring",
    "EdgeMask",
    "EdgeSpace",
    "EdgeSubset",
    "LayerwiseEdgeSubset",
    "ProductSpace",
    "SearchSpace",
    "UnitActivationChoice",
]
