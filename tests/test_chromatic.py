"""Colourings, and their fit to dense weights."""

import itertools

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from structured_layers import ChromaticLinear, Palette, StructuredLayersError
from structured_layers.layers.clustering import kmeans
from structured_layers.layers.coloring import chromatic
from structured_layers.layers.nearest import group_means, nearest_index


def squared_error(layer: ChromaticLinear, linear: nn.Linear) -> float:
    return float((layer.weight - linear.weight).detach().square().sum())


@given(num_colors=st.integers(1, 9), seed=st.integers(0, 2**31), batched=st.booleans())
def test_relabelling_colours_with_their_palette_changes_nothing(
    num_colors: int, seed: int, batched: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = (3,) if batched else ()
    values = torch.randn(*batch, num_colors, generator=generator)
    colors = torch.randint(-1, num_colors, (*batch, 4, 5), generator=generator)
    new_names = torch.randperm(num_colors, generator=generator)
    renamed = torch.where(colors < 0, -1, new_names[colors])
    moved = torch.empty_like(values)
    moved[..., new_names] = values
    assert torch.equal(chromatic(moved, renamed), chromatic(values, colors))


def test_random_colours_follow_the_global_seed() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(ChromaticLinear(6, 5, palette=4).colors)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_removed_edges_are_zero() -> None:
    layer = ChromaticLinear(2, 2, palette=2, colors=torch.tensor([[0, -1], [-1, 1]]))
    expected = torch.diag(layer.values.detach())
    assert torch.equal(layer.weight, expected)


def test_the_callers_colours_are_copied_from_any_integer_type() -> None:
    colors = torch.zeros(2, 2, dtype=torch.int8)
    layer = ChromaticLinear(2, 2, palette=2, colors=colors)
    colors.fill_(1)
    assert layer.colors.dtype == torch.int64
    assert layer.colors.sum() == 0


def test_scale_multiplies_the_weight_and_is_trained() -> None:
    layer = ChromaticLinear(2, 3, bias=False, palette=2, scale=0.5)
    assert torch.equal(layer.weight, 0.5 * layer.values[layer.colors])
    layer(torch.ones(1, 2)).sum().backward()
    torch.testing.assert_close(layer.scale.grad, layer.values[layer.colors].sum())
    assert layer.num_weights == 3
    assert ChromaticLinear(2, 3, palette=2).num_weights == 2


def best_clustering(points: Tensor, num_clusters: int) -> float:
    """Try every way of cutting the sorted points into intervals."""
    points, best = points.sort().values, float("inf")
    for cuts in itertools.combinations(range(1, len(points)), num_clusters - 1):
        parts = points.tensor_split(cuts)
        best = min(best, sum(float((part - part.mean()).square().sum()) for part in parts))
    return best


@given(num_clusters=st.integers(1, 8), seed=st.integers(0, 2**31))
def test_kmeans_ends_where_centers_are_the_means_of_their_points(
    num_clusters: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(12, generator=generator, dtype=torch.float64)
    centers = kmeans(points, num_clusters)
    means = group_means(points, nearest_index(points, centers), num_clusters)
    torch.testing.assert_close(means, centers)


@pytest.mark.parametrize("sizes", [(4, 4, 4), (1, 2, 9), (9, 2, 1), (1, 10, 1)], ids=str)
def test_kmeans_finds_clusters_that_lie_apart(sizes: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.tensor([-5.0, 0.0, 7.0]).double().repeat_interleave(torch.tensor(sizes))
    points = places + 0.5 * torch.rand(12, generator=generator, dtype=torch.float64)
    centers = kmeans(points, 3)
    error = float((points - centers[nearest_index(points, centers)]).square().sum())
    assert error == pytest.approx(best_clustering(points, 3))


def test_kmeans_fills_clusters_that_many_equal_points_leave_empty() -> None:
    points = torch.cat([torch.zeros(90), torch.linspace(1, 2, 10)])
    centers = kmeans(points, 8)
    assert len(nearest_index(points, centers).unique()) == 8
    assert float((points - centers[nearest_index(points, centers)]).abs().max()) < 0.15


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 12))
@example([0.0, 1.0, 2.0, 3.0, 1.5, 1.25, 1.875, 0.5, 5.343589306847168e-77, 5e-272], 9)
def test_kmeans_centers_are_sorted_and_never_worse_than_the_mean(
    entries: list[float], num_clusters: int
) -> None:
    points = torch.tensor(entries, dtype=torch.float64)
    centers = kmeans(points, num_clusters)
    assert centers.shape == (num_clusters,)
    assert torch.equal(centers, centers.sort().values)
    error = (points - centers[nearest_index(points, centers)]).square().sum()
    assert error <= (points - points.mean()).square().sum() + 1e-9


@pytest.mark.parametrize("structure", [{"palette": 4}, {"num_colors": 4}], ids=str)
def test_from_linear_clusters_into_a_private_palette(structure: dict[str, int]) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(9, 8)
    layer, again = (ChromaticLinear.from_linear(linear, **structure) for _ in range(2))
    assert (layer.palette.num_colors, layer.scale) == (4, None)
    assert torch.equal(layer.weight, again.weight)
    means = group_means(linear.weight.detach(), layer.colors, 4).float()
    torch.testing.assert_close(layer.values.detach(), means)
    assert squared_error(layer, linear) < 0.1 * float(linear.weight.detach().square().sum())


def test_from_linear_with_as_many_colours_as_edges_is_exact() -> None:
    linear = nn.Linear(4, 3)
    assert torch.equal(ChromaticLinear.from_linear(linear, palette=12).weight, linear.weight)


def test_from_linear_with_colours_alone_counts_them() -> None:
    colors = torch.tensor([[0, 2], [-1, 0]])
    layer = ChromaticLinear.from_linear(nn.Linear(2, 2), colors=colors)
    assert layer.num_weights == 3
    assert torch.equal(layer.colors, colors)


@pytest.mark.parametrize("gain", [0.01, 1.0, 30.0])
def test_a_shared_palette_stays_and_a_scale_is_fitted(gain: float) -> None:
    torch.manual_seed(0)
    palette, linear = Palette(17), nn.Linear(16, 8)
    with torch.no_grad():
        linear.weight.mul_(gain)
    before = palette.values.detach().clone()
    layer = ChromaticLinear.from_linear(linear, palette=palette)
    ChromaticLinear(5, 5, palette=palette)
    assert torch.equal(palette.values, before)
    assert layer.values is palette.values
    assert layer.scale.requires_grad
    assert squared_error(layer, linear) < 0.02 * float(linear.weight.detach().square().sum())


def test_a_shared_palette_of_one_sign_serves_the_other() -> None:
    palette, linear = Palette(2), nn.Linear(4, 4)
    with torch.no_grad():
        palette.values.copy_(torch.tensor([1.0, 2.0]))
        linear.weight.copy_(-palette.values[torch.arange(16).view(4, 4) % 2])
    layer = ChromaticLinear.from_linear(linear, palette=palette)
    torch.testing.assert_close(layer.weight, linear.weight)
    assert float(layer.scale.detach()) == pytest.approx(-1)


def test_a_scale_fitted_to_given_colours_is_the_least_squares_one() -> None:
    torch.manual_seed(0)
    palette, linear = Palette(3), nn.Linear(5, 4)
    colors = torch.arange(20).view(4, 5) % 3
    layer = ChromaticLinear.from_linear(linear, palette=palette, colors=colors)
    residual = linear.weight - layer.weight
    torch.testing.assert_close((residual * palette.values[colors]).sum(), torch.tensor(0.0))


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, -1.0]], ids=str)
def test_a_zero_weight_or_palette_is_fitted_without_nan(values: list[float]) -> None:
    palette, linear = Palette(2), nn.Linear(3, 3)
    with torch.no_grad():
        palette.values.copy_(torch.tensor(values))
    nn.init.zeros_(linear.weight)
    assert torch.count_nonzero(ChromaticLinear.from_linear(linear, palette=palette).weight) == 0


GOOD_COLORS = torch.zeros(2, 3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({"palette": 0}, r"num_colors must be between 1 and 6 \(= in_features × out_features\)"),
        ({"palette": 7}, "got 7; use nn.Linear for an unshared layer"),
        ({"palette": 2.0}, "palette must be a Palette or an integer number of colours, got 2.0"),
        ({"palette": True}, "got True"),
        (
            {"palette": 2, "learn_colors": "false"},
            "learn_colors must be True or False, got 'false'",
        ),
        ({"palette": 2, "colors": GOOD_COLORS.T}, r"got torch.int64 of shape \(3, 2\)"),
        ({"palette": 2, "colors": GOOD_COLORS.float()}, "got torch.float32"),
        ({"palette": 2, "colors": GOOD_COLORS.bool()}, "got torch.bool"),
        ({"palette": 2, "colors": [[0] * 3] * 2}, "got a list"),
        ({"palette": 2, "colors": GOOD_COLORS + 2}, "between -1 .* and 1, got 2 to 2"),
        ({"palette": 2, "colors": GOOD_COLORS - 2}, "got -2 to -2"),
        ({"palette": Palette(2), "colors": GOOD_COLORS + 2}, "got 2 to 2"),
    ],
)
def test_bad_structure(structure: dict[str, object], message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        ChromaticLinear(3, 2, **structure)
    with pytest.raises(StructuredLayersError, match=message):
        ChromaticLinear.from_linear(nn.Linear(3, 2), **structure)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), True, "1", torch.tensor(1.0)])
def test_bad_scales(scale: object) -> None:
    with pytest.raises(StructuredLayersError, match="scale must be a finite number or None"):
        ChromaticLinear(3, 2, palette=2, scale=scale)


@pytest.mark.parametrize("structure", [{}, {"palette": 2, "num_colors": 2}], ids=str)
def test_from_linear_needs_one_palette(structure: dict[str, int]) -> None:
    with pytest.raises(StructuredLayersError, match="needs either palette .* or num_colors"):
        ChromaticLinear.from_linear(nn.Linear(3, 2), **structure)


def test_a_layer_takes_the_type_of_its_palette_or_says_that_it_cannot() -> None:
    palette = Palette(2, dtype=torch.float64)
    assert ChromaticLinear(3, 2, palette=palette).bias.dtype == torch.float64
    with pytest.raises(StructuredLayersError, match="the palette is torch.float64 on cpu"):
        ChromaticLinear(3, 2, palette=palette, dtype=torch.float32)
    with pytest.raises(StructuredLayersError, match="torch.float64 on meta"):
        ChromaticLinear(3, 2, palette=palette, device="meta")
