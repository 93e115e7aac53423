"""Least-squares fits of matrices whose entries share values."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_ITERATIONS = 300


def group_means(weight: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    """Return the mean entry of each group: the nearest matrix that is constant on the groups.

    Args:
        weight: the entries, of any shape.
        groups: the group of each entry, 0 to ``num_groups - 1``; entries of group -1 are left out.
        num_groups: how many groups there are; the mean of an empty one is 0.

    Returns:
        (num_groups,) float64.

    Examples:
        >>> group_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 1]), 2)
        tensor([2., 5.], dtype=torch.float64)
    """
    kept = groups >= 0
    entries, index = weight[kept].double(), groups[kept]
    sums = torch.bincount(index, weights=entries, minlength=num_groups)  # faster than index_add_
    return sums / torch.bincount(index, minlength=num_groups).clamp(min=1)


def nearest_index(points: Tensor, centers: Tensor) -> Tensor:
    """Return for every point the position of the nearest center.

    Args:
        points: of any shape.
        centers: (k,) in any order.

    Returns:
        int64, of the shape of ``points``.

    Examples:
        >>> nearest_index(torch.tensor([[0.2, 0.9]]), torch.tensor([1.0, 0.0]))
        tensor([[1, 0]])
    """
    ordered, order = centers.sort(stable=True)
    return order[torch.bucketize(points, (ordered[1:] + ordered[:-1]) / 2)]


def fit_scale(weight: Tensor, palette: Tensor, colors: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fit ``scale * palette[colors]`` to a weight while the palette stays as it is.

    Nearest colours and the least-squares scale alternate, from a positive and a negative start;
    the better end is returned.

    Args:
        weight: (out, in) float64.
        palette: (num_colors,) float64.
        colors: (out, in) int64 with -1 for a removed edge if they are given, else None.

    Returns:
        The colours (out, in) and the scalar scale.
    """
    if colors is not None:
        return colors, _least_squares_scale(weight, palette, colors)
    spread = palette.square().mean().sqrt()
    start = weight.square().mean().sqrt() / spread if spread > 0 else torch.ones_like(spread)
    fits = [_alternate(weight, palette, sign * start) for sign in (1, -1)]
    return min(fits, key=lambda fit: float((weight - fit[1] * palette[fit[0]]).square().sum()))


def _alternate(weight: Tensor, palette: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    colors = nearest_index(weight, scale * palette)
    for _ in range(MAX_ITERATIONS):
        scale = _least_squares_scale(weight, palette, colors)
        recolored = nearest_index(weight, scale * palette)
        if torch.equal(recolored, colors):
            break
        colors = recolored
    return colors, scale


def _least_squares_scale(weight: Tensor, palette: Tensor, colors: Tensor) -> Tensor:
    kept = colors >= 0
    entries = palette[colors[kept]]
    norm = entries.square().sum()
    return (entries * weight[kept]).sum() / norm if norm > 0 else torch.ones_like(norm)
