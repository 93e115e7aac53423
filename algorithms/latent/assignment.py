"""The assignment problem, solved exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from structured_layers.errors import StructuredLayersError

Floats = NDArray[np.float64]


def assign(cost: Floats) -> NDArray[np.intp]:
    """Return the permutation with the smallest total cost.

    Shortest augmenting paths with dual variables, O(n³): Jonker and Volgenant, "A shortest
    augmenting path algorithm for dense and sparse linear assignment problems", 1987.

    Args:
        cost: (n, n), finite.

    Returns:
        (n,) the column of each row.

    Raises:
        StructuredLayersError: a matrix that is not square or not finite.

    Examples:
        >>> assign(np.array([[4.0, 1.0], [2.0, 3.0]]))
        array([1, 0])
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or cost.shape[0] != cost.shape[1] or not np.isfinite(cost).all():
        raise StructuredLayersError(f"cost must be a finite square matrix, got shape {cost.shape}")
    n = len(cost)
    row_price, column_price = np.zeros(n), np.zeros(n)
    row_of = np.full(n, -1)
    for row in range(n):
        column, previous = _shortest_path(row, cost, row_price, column_price, row_of)
        while column >= 0:  # the rows along the path move up by one column
            before = int(previous[column])
            row_of[column] = row if before < 0 else row_of[before]
            column = before
    return np.argsort(row_of)


def _shortest_path(
    row: int,
    cost: Floats,
    row_price: Floats,
    column_price: Floats,
    row_of: NDArray[np.intp],
) -> tuple[int, NDArray[np.intp]]:
    """Find the cheapest way from a row to a free column, and update the prices.

    Returns:
        The free column, and (n,) the column before each column on its way, -1 for none.
    """
    n = len(cost)
    distance, previous = np.full(n, np.inf), np.full(n, -1)
    is_done = np.zeros(n, dtype=bool)
    reached, last, current = 0.0, -1, row
    while True:
        ways = reached + cost[current] - row_price[current] - column_price
        shorter = ~is_done & (ways < distance)
        distance[shorter], previous[shorter] = ways[shorter], last
        last = int(np.argmin(np.where(is_done, np.inf, distance)))
        reached = float(distance[last])
        if row_of[last] < 0:
            break
        is_done[last] = True
        current = int(row_of[last])
    row_price[row] += reached
    row_price[row_of[is_done]] += reached - distance[is_done]
    column_price[is_done] -= reached - distance[is_done]
    return last, previous
