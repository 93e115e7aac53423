"""How much colourings say, and how far two of them are apart.

A colouring is a partition of the edges into colours; removed edges (-1) are one more part. The
distances that look at the partition alone do not change when the colours are renamed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import MissingDependencyError, StructuredLayersError

Colors = NDArray[np.int64]


def partition_entropy(colors: Tensor | ArrayLike) -> float:
    """Return the entropy of a colouring's histogram, in bits.

    Args:
        colors: integers of any shape, such as ``layer.colors`` or the topology vector of a network.

    Examples:
        >>> partition_entropy([0, 0, 1, 1, 2, 2, 3, 3])
        2.0
    """
    _, counts = np.unique(_checked(colors), return_counts=True)
    shares = counts / counts.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def rand_index(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> float:
    """Return the share of pairs of edges on which two colourings agree.

    They agree on a pair that has one colour in both, or two colours in both.

    Args:
        first: integers of any shape.
        second: integers of the same shape.

    Raises:
        MissingDependencyError: scikit-learn is not installed.

    Examples:
        >>> rand_index([0, 0, 1, 1], [5, 5, 3, 3])
        1.0

    Reference:
        Rand, Objective Criteria for the Evaluation of Clustering Methods, 1971.
    """
    first, second = _checked_pair(first, second)
    try:
        from sklearn.metrics import rand_score
    except ImportError as error:
        raise MissingDependencyError("rand_index", "metrics") from error
    return float(rand_score(first, second))


def adjusted_rand_index(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> float:
    """Return the Rand index, shifted and scaled to 0 for independent colourings in the mean.

    Args:
        first: integers of any shape.
        second: integers of the same shape.

    Raises:
        MissingDependencyError: scikit-learn is not installed.

    Examples:
        >>> adjusted_rand_index([0, 0, 1, 1], [5, 5, 3, 3])
        1.0

    Reference:
        Hubert & Arabie, Comparing Partitions, 1985.
    """
    first, second = _checked_pair(first, second)
    try:
        from sklearn.metrics import adjusted_rand_score
    except ImportError as error:
        raise MissingDependencyError("adjusted_rand_index", "metrics") from error
    return float(adjusted_rand_score(first, second))


def variation_of_information(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> float:
    r"""Return the distance H(X|Y) + H(Y|X) of two colourings, in bits.

    It is zero exactly if one colouring is the other with its colours renamed.

    Args:
        first: integers of any shape.
        second: integers of the same shape.

    Examples:
        >>> variation_of_information([0, 0, 1, 1], [0, 1, 0, 1])
        2.0

    Reference:
        Meilă, Comparing Clusterings by the Variation of Information, 2003.
    """
    first, second = _checked_pair(first, second)
    rows, row_counts = np.unique(first, return_inverse=True, return_counts=True)[1:]
    columns, column_counts = np.unique(second, return_inverse=True, return_counts=True)[1:]
    joint, counts = np.unique(rows * len(column_counts) + columns, return_counts=True)
    # The conditional entropies term by term, so that no digits cancel: log 1 is exactly 0.
    given_first = np.log2(row_counts[joint // len(column_counts)] / counts)
    given_second = np.log2(column_counts[joint % len(column_counts)] / counts)
    return float((counts * (given_first + given_second)).sum() / len(first))


def recolored_edges(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> int:
    """Return the number of edges whose colour differs; renamed colours count as different.

    Args:
        first: integers of any shape.
        second: integers of the same shape.

    Examples:
        >>> recolored_edges([0, 0, 1, 2], [0, 1, 1, 1])
        2
    """
    first, second = _checked_pair(first, second)
    return int((first != second).sum())


def _checked_pair(first: Tensor | ArrayLike, second: Tensor | ArrayLike) -> tuple[Colors, Colors]:
    shapes = [tuple(np.shape(_to_array(colors))) for colors in (first, second)]
    if shapes[0] != shapes[1]:
        raise StructuredLayersError(
            "two colourings can be compared if they colour the same edges, got shapes "
            f"{shapes[0]} and {shapes[1]}"
        )
    return _checked(first), _checked(second)


def _checked(colors: Tensor | ArrayLike) -> Colors:
    array = _to_array(colors)
    if array.dtype.kind not in "iu" or array.size == 0:
        raise StructuredLayersError(
            "a colouring must be a tensor or array of integers with at least one edge, got "
            f"{array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64).ravel()


def _to_array(colors: Tensor | ArrayLike) -> NDArray[np.generic]:
    if isinstance(colors, Tensor):
        return np.asarray(colors.detach().cpu().numpy())
    try:
        return np.asarray(colors)
    except ValueError as error:
        raise StructuredLayersError(
            "a colouring must be a tensor or array of integers, got a sequence whose parts differ "
            "in length; give every row the same number of edges"
        ) from error
