"""Which structures a sweep compares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from .structure import StructureRequest, parse_structure
from .targets import find_targets

RANKS = (1, 2, 4)
COLORS = (17, 8, 5, 3, 2)
EDGES = 64
DENSITIES = (0.05, 0.1, 0.2)


def default_structures(policy: nn.Module, target: Any = "actor") -> list[dict[str, Any]]:
    """Return the dense policy, every structure, and several sizes of those that have one.

    Args:
        policy: whose layers are counted, so that no size exceeds them.
        target: which layers.
    """
    request: StructureRequest = parse_structure({"layer": "dense", "target": target})[0]
    networks = find_targets(policy, request.target)
    layers = [[_size(policy.get_submodule(name)) for name in network] for network in networks]
    edges = min(sum(math.prod(size) for size in network) for network in layers)
    least = max(len(network) for network in layers)
    full_rank = min(min(size) for network in layers for size in network)
    kept = sorted({EDGES, *(round(density * edges) for density in DENSITIES)})
    return [
        {"layer": "dense"},
        {"layer": "toeplitz"},
        {"layer": "hankel"},
        {"layer": "circulant"},
        *({"layer": "low_displacement_rank", "rank": rank} for rank in RANKS if rank <= full_rank),
        *({"layer": "chromatic", "num_colors": n} for n in COLORS if n < edges),
        *({"layer": "masked", "num_edges": n} for n in kept if least <= n < edges),
    ]


def row_name(structure: Mapping[str, Any]) -> str:
    """Return a name for a structure that can be a folder's.

    Examples:
        >>> row_name({"layer": "chromatic", "num_colors": 17})
        'chromatic-17'
        >>> row_name({"layer": "masked", "num_edges": 64, "learn_mask": False})
        'masked-64-learn_mask=False'
    """
    sizes = ("num_colors", "num_edges", "rank")
    parts = [str(structure.get("layer"))]
    for key, value in structure.items():
        if key != "layer":
            parts.append(str(value) if key in sizes else f"{key}={value}")
    return "-".join(parts).replace("/", "_")


def _size(layer: Any) -> tuple[int, int]:
    return int(layer.in_features), int(layer.out_features)
