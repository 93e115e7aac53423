"""One-dimensional k-means, solved exactly.

Sorted points have an optimal clustering into intervals, so the best cut of every prefix into q
intervals follows from the best cuts into q - 1 (Wang & Song, Ckmeans.1d.dp, 2011). The last cut of
a prefix moves to the right as the prefix grows, which bounds the search: all prefixes of one level
of a divide and conquer are searched in one pass of NumPy, O(k n log n) in all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_EXACT_POINTS = 1_000_000
NUM_BINS = 16_384

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class _Prefix(NamedTuple):
    """Sums over the first i of n sorted points, i = 0 … n; each has n + 1 entries."""

    counts: Floats
    sums: Floats

    def gain(self, start: Indices, end: Indices) -> Floats:
        """Return (sum of the interval)² / count: what one center for it saves in squared error."""
        sums = self.sums[end] - self.sums[start]
        return np.asarray(sums * sums / (self.counts[end] - self.counts[start]))

    def means(self, cuts: Indices) -> Floats:
        """Return the mean of every interval between two cuts."""
        return np.asarray(np.diff(self.sums[cuts]) / np.diff(self.counts[cuts]))


def kmeans(points: Tensor, num_clusters: int) -> Tensor:
    """Return the centers of the best one-dimensional k-means clustering.

    The squared error is the least that ``num_clusters`` centers can have, up to a million points.
    Beyond, the same method runs on a weighted histogram of 16,384 bins, half of them of equal width
    and half of equal weight; on normal weights its error is within a millionth of the least.

    Args:
        points: finite numbers, of any shape.
        num_clusters: the number of centers.

    Returns:
        (num_clusters,) float64 in ascending order, on the device of ``points``. With fewer distinct
        points than centers the last one is repeated.

    Examples:
        >>> kmeans(torch.tensor([0.0, 1.0, 10.0, 11.0]), 2)
        tensor([ 0.5000, 10.5000], dtype=torch.float64)

    Reference:
        Wang & Song, Ckmeans.1d.dp: Optimal k-means Clustering in One Dimension by Dynamic
        Programming, The R Journal, 2011.
    """
    numbers = points.detach().cpu().flatten()
    # Single precision sorts in half the time; narrower types are not known to NumPy.
    numbers = numbers if numbers.dtype == torch.float32 else numbers.double()
    ordered = np.sort(numbers.numpy())
    if len(ordered) > MAX_EXACT_POINTS:
        distinct, counts = _histogram(ordered)
    else:
        distinct, counts = _distinct(ordered)
    centers = _exact_kmeans(distinct, counts, num_clusters)
    return torch.from_numpy(centers).to(points.device)


def _exact_kmeans(places: Floats, weights: Floats, num_clusters: int) -> Floats:
    """Cluster weighted points at ascending places."""
    if len(places) <= num_clusters:
        return np.append(places, np.repeat(places[-1:], num_clusters - len(places)))
    prefix, center = _prefix(places, weights)
    # Differences of sums round: means of tiny values can change places.
    return np.sort(prefix.means(_best_cuts(prefix, num_clusters))) + center


def _prefix(places: Floats, weights: Floats) -> tuple[_Prefix, float]:
    """Return the prefix sums around the mean, where the fewest digits cancel, and the mean."""
    center = float(np.average(places, weights=weights))
    sums = np.cumsum(weights * (places - center))
    return _Prefix(np.append(0.0, np.cumsum(weights)), np.append(0.0, sums)), center


def _best_cuts(prefix: _Prefix, num_clusters: int) -> Indices:
    """Return the num_clusters + 1 ends of the intervals of least squared error."""
    num_points = len(prefix.counts) - 1
    ends = np.arange(1, num_points + 1)
    best = np.append(-np.inf, prefix.gain(np.zeros_like(ends), ends))  # one cluster
    last_cuts: list[Indices] = []
    for size in range(2, num_clusters + 1):
        lowest = last_cuts[-1] if last_cuts else np.zeros(num_points + 1, np.int64)
        best, cuts = _add_cluster(prefix, best, size, lowest)
        last_cuts.append(cuts)
    ends = np.array([num_points])
    for cuts in reversed(last_cuts):
        ends = np.append(cuts[ends[0]], ends)
    return np.append(0, ends)


def _add_cluster(
    prefix: _Prefix, previous: Floats, size: int, lowest: Indices
) -> tuple[Floats, Indices]:
    """Find for every prefix the best start of one more cluster at its end.

    Args:
        prefix: the sums.
        previous: (n + 1,), the gain of the best size - 1 clusters of every prefix.
        size: the number of clusters, of which every one gets a point.
        lowest: (n + 1,), the cuts of the round before, which this round's are never left of.

    Returns:
        The gains and the cuts (n + 1,); prefixes shorter than ``size`` have the gain -inf.
    """
    num_points = len(previous) - 1
    best, cuts = np.full(num_points + 1, -np.inf), np.full(num_points + 1, size - 1)
    stride = 1 << (num_points - size + 1).bit_length() - 1
    while stride:
        # Half way between the prefixes whose cuts are known, which are the bounds of the new ones.
        ends = np.arange(size - 1 + stride, num_points + 1, 2 * stride)
        after = np.minimum(ends + stride, num_points)
        high = np.where(ends + stride <= num_points, cuts[after], num_points)
        low = np.maximum(cuts[ends - stride], lowest[ends])
        high = np.maximum(np.minimum(high, ends - 1), low)
        best[ends], cuts[ends] = _search(prefix, previous, ends, low, high)
        stride //= 2
    return best, cuts


def _search(
    prefix: _Prefix, previous: Floats, ends: Indices, low: Indices, high: Indices
) -> tuple[Floats, Indices]:
    """Return for every end the greatest gain of a start from low to high, and the first such."""
    lengths = high - low + 1
    firsts = np.cumsum(lengths) - lengths
    starts = np.arange(lengths.sum()) + np.repeat(low - firsts, lengths)
    gains = previous[starts] + prefix.gain(starts, np.repeat(ends, lengths))
    best = np.maximum.reduceat(gains, firsts)
    hits = np.flatnonzero(gains == np.repeat(best, lengths))
    return best, starts[hits[np.searchsorted(hits, firsts)]]


def _distinct(ordered: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the distinct points and how often each of them comes."""
    places, counts = np.unique(ordered.astype(np.float64), return_counts=True)
    return places, counts.astype(np.float64)


def _histogram(ordered: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the means and the counts of the bins, in ascending order.

    Bins of equal weight serve the bulk of the points, bins of equal width the far ones.
    """
    places = np.linspace(ordered[0], ordered[-1], NUM_BINS // 2 + 1)
    by_width = np.searchsorted(ordered, places.astype(ordered.dtype))
    by_weight = np.linspace(0, len(ordered), NUM_BINS // 2 + 1).astype(np.int64)
    edges = np.union1d(by_width, by_weight)
    counts = np.diff(edges)
    means = np.add.reduceat(ordered, edges[:-1], dtype=np.float64) / counts
    # Equal points may lie in several bins; each bin has to be one place.
    places, index = np.unique(means, return_inverse=True)
    return places, np.bincount(index, weights=counts).astype(np.float64)
