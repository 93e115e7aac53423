"""How many edges each layer of a network keeps."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import StructuredLayersError
from ...layers.base import as_integer


def split_edges(num_edges: int | None, shapes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Split a number of edges over layers in proportion to their units, inputs plus outputs.

    So every unit keeps about as many edges whatever the size of its layer (an Erdős–Rényi graph in
    each layer); in proportion to the edges, a large hidden layer would leave the small output layer
    none. Each layer keeps at least one edge and at most all of its own. The same arguments always
    give the same numbers, so that a saved policy finds them again.

    Args:
        num_edges: edges of all layers together.
        shapes: outputs and inputs of each layer.

    Raises:
        StructuredLayersError: if that is too few or too many.

    Examples:
        >>> split_edges(64, {"hidden": (41, 17), "output": (6, 41)})
        {'hidden': 35, 'output': 29}
        >>> split_edges(30, {"hidden": (2, 3), "output": (8, 8)})
        {'hidden': 6, 'output': 24}

    Reference:
        Mocanu et al., Scalable training of artificial neural networks with adaptive sparse
        connectivity, 2018 (arXiv 1707.04780), eq. 1.
    """
    sizes = {name: rows * columns for name, (rows, columns) in shapes.items()}
    possible, count = sum(sizes.values()), as_integer(num_edges)
    if count is None or not len(sizes) <= count <= possible:
        raise StructuredLayersError(
            f"num_edges must be between {len(sizes)}, one for each of {', '.join(sizes)}, and "
            f"{possible}, all of their edges, got {num_edges!r}"
        )
    split = dict.fromkeys(sizes, 1)
    for _ in range(count - len(sizes)):  # each edge goes where the fewest are for the units
        free = (name for name in sizes if split[name] < sizes[name])
        split[min(free, key=lambda name: split[name] / sum(shapes[name]))] += 1
    return split
