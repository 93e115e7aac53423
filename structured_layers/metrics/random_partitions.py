"""What the entropy of a colouring is by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import StructuredLayersError
from .partitions import partition_entropy


def random_partition_entropies(
    num_edges: int, num_colors: int, *, num_samples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the entropies in bits of colourings in which every edge draws its colour uniformly.

    Args:
        num_edges: of each colouring.
        num_colors: to draw from.
        num_samples: how many colourings are drawn.
        seed: of the draws; the same one gives the same numbers.

    Returns:
        (num_samples,)

    Examples:
        >>> entropies = random_partition_entropies(943, 17)
        >>> round(float(entropies.mean()), 2)  # log₂ 17 is 4.09
        4.08

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511), Figure 12.
    """
    sizes = {"num_edges": num_edges, "num_colors": num_colors, "num_samples": num_samples}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise StructuredLayersError(f"{name} must be an integer of at least 1, got {size!r}")
    generator = np.random.default_rng(seed)
    colors = generator.integers(num_colors, size=(num_samples, num_edges))
    return np.array([partition_entropy(row) for row in colors])
