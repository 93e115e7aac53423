"""Exact one-dimensional k-means."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from structured_layers.layers import clustering
from structured_layers.layers.clustering import kmeans
from structured_layers.layers.nearest import nearest_index


def squared_error(points: Tensor, centers: Tensor) -> float:
    return float((points - centers[nearest_index(points, centers)]).square().sum())


def least_squared_error(points: Tensor, num_clusters: int) -> float:
    """Try every way of cutting the sorted points into intervals."""
    points, best = points.sort().values, float("inf")
    for cuts in itertools.combinations(range(1, len(points)), num_clusters - 1):
        parts = points.tensor_split(cuts)
        best = min(best, sum(float((part - part.mean()).square().sum()) for part in parts))
    return best


@given(
    num_points=st.integers(1, 13),
    num_clusters=st.integers(1, 6),
    digits=st.integers(0, 3),
    shift=st.sampled_from([0.0, 1e4]),
    seed=st.integers(0, 2**31),
)
def test_no_clustering_is_better(
    num_points: int, num_clusters: int, digits: int, shift: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(num_points, generator=generator, dtype=torch.float64)
    points = points.round(decimals=digits) + shift  # few digits make equal points
    num_clusters = min(num_clusters, num_points)
    found = squared_error(points, kmeans(points, num_clusters))
    assert found == pytest.approx(least_squared_error(points, num_clusters), abs=1e-9)


def test_hundreds_of_points_need_no_more_than_lloyds_best_of_many_starts() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(400, generator=generator, dtype=torch.float64)
    exact = squared_error(points, kmeans(points, 9))
    for _ in range(20):
        centers = points[torch.randperm(400, generator=generator)[:9]]
        for _ in range(50):
            labels = nearest_index(points, centers)
            centers = torch.stack([points[labels == label].mean() for label in range(9)])
        assert exact <= squared_error(points, centers) + 1e-12


def test_the_histogram_is_nearly_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(50_000, generator=generator, dtype=torch.float64)
    points[0] = 1e4  # far from all others
    exact = squared_error(points, kmeans(points, 17))
    monkeypatch.setattr(clustering, "MAX_EXACT_POINTS", 1000)
    assert squared_error(points, kmeans(points, 17)) == pytest.approx(exact, rel=1e-5)


def test_the_histogram_serves_equal_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "MAX_EXACT_POINTS", 10)
    points = torch.tensor([0.0, 1.0]).repeat_interleave(50)
    assert kmeans(points, 3).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_every_float_type_gives_double_precision_centers(dtype: torch.dtype) -> None:
    centers = kmeans(torch.tensor([[0.0, 1.0], [4.0, 5.0]], dtype=dtype), 2)
    assert centers.dtype == torch.float64
    assert centers.tolist() == [0.5, 4.5]
