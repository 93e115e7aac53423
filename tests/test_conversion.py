"""Conversion of dense networks to structured ones."""

import copy
from typing import Any

import pytest
import torch
from conversion_cases import NAMED, assert_untouched, network, state_of
from torch import nn

from structured_layers import (
    ChromaticLinear,
    Palette,
    StructuredLayersError,
    StructuredLinear,
    convert_,
    mlp,
)
from structured_layers.layers.clustering import kmeans
from structured_layers.layers.nearest import nearest_index


@pytest.mark.parametrize("init", ["project", "match"])
@pytest.mark.parametrize(("name", "layer", "keywords"), NAMED, ids=[n[0] for n in NAMED])
def test_every_structure_by_name_and_by_class(
    name: str, layer: type[StructuredLinear], keywords: dict[str, Any], init: str
) -> None:
    by_name, by_class = network(), network()
    by_class.load_state_dict(by_name.state_dict())
    biases = [part.bias.clone() for part in by_name if isinstance(part, nn.Linear)]
    reports = []
    for converted, structure in ((by_name, name), (by_class, layer)):
        torch.manual_seed(1)
        reports.append(convert_(converted, structure, init=init, **keywords))
    assert reports[0] == reports[1]
    assert [type(by_name[i]) for i in (0, 2, 4)] == [layer] * 3
    torch.testing.assert_close(by_name.state_dict(), by_class.state_dict())
    for i, bias in zip((0, 2, 4), biases, strict=True):
        torch.testing.assert_close(by_name[i].bias, bias)
    assert by_name(torch.randn(7, 6)).shape == (7, 3)


@pytest.mark.parametrize("structure", ["toeplitz", "hankel", "circulant", "low_displacement_rank"])
def test_projection_is_the_layers_own(structure: str) -> None:
    dense = network()
    converted = copy.deepcopy(dense)
    convert_(converted, structure)
    for before, after in zip(dense, converted, strict=True):
        if isinstance(before, nn.Linear):
            torch.testing.assert_close(after.weight, type(after).from_linear(before).weight)


@pytest.mark.parametrize(("name", "layer", "keywords"), NAMED, ids=[n[0] for n in NAMED])
def test_match_keeps_the_standard_deviation(
    name: str, layer: type[StructuredLinear], keywords: dict[str, Any]
) -> None:
    converted = network()
    with torch.no_grad():
        converted[4].weight.mul_(0.01)  # the gain of a policy's head
    deviations = [converted[i].weight.std() for i in (0, 2, 4)]
    report = convert_(converted, name, init="match", **keywords)
    for i, deviation in zip((0, 2, 4), deviations, strict=True):
        torch.testing.assert_close(converted[i].weight.std(), deviation, rtol=1e-4, atol=0)
    assert [change.error for change in report.changes] == [None] * 3


@pytest.mark.parametrize("learn_colors", [False, True])
def test_match_keeps_the_standard_deviation_while_colours_are_learned(learn_colors: bool) -> None:
    converted = network()
    deviation = converted[0].weight.std()
    convert_(converted, "chromatic", init="match", num_colors=4, learn_colors=learn_colors)
    torch.testing.assert_close(converted[0].weight.std(), deviation)


def test_one_palette_serves_all_chromatic_targets() -> None:
    dense = network()
    with torch.no_grad():
        dense[4].weight.mul_(0.01)
    weights = [dense[i].weight.detach().double() for i in (0, 2, 4)]
    report = convert_(dense, "chromatic", num_colors=7)
    layers = [dense[i] for i in (0, 2, 4)]
    assert len({id(layer.values) for layer in layers}) == 1
    assert len({id(layer.palette) for layer in layers}) == 1
    assert report.weights == 7 + 3
    assert all(layer.scale.requires_grad for layer in layers)
    scaled = torch.cat([(w / w.std(correction=0)).flatten() for w in weights])
    centers = kmeans(scaled, 7)
    torch.testing.assert_close(layers[0].values.detach(), centers.float())
    for layer, weight in zip(layers, weights, strict=True):
        expected = nearest_index(weight / weight.std(correction=0), centers)
        assert torch.equal(layer.colors, expected)
        residual = weight - layer.weight.detach()
        entries = centers[layer.colors]
        assert float((residual * entries).sum()) == pytest.approx(0, abs=1e-6)  # the best scale
    assert all(change.error < 0.2 for change in report.changes)


def test_palettes_of_their_own_have_no_scales() -> None:
    dense = network()
    expected = ChromaticLinear.from_linear(dense[0], num_colors=4).weight
    report = convert_(dense, "chromatic", num_colors=4, share_palette=False)
    assert report.weights == 3 * 4
    assert dense[0].scale is None
    torch.testing.assert_close(dense[0].weight, expected)


@pytest.mark.parametrize("init", ["project", "match"])
def test_a_given_palette_stays_as_it_is(init: str) -> None:
    palette, dense = Palette(6), network()
    palette.keep()
    before = palette.values.detach().clone()
    convert_(dense, "chromatic", palette=palette, init=init)
    assert dense[0].values is dense[4].values is palette.values
    assert torch.equal(palette.values, before)


def test_learned_colours_start_from_the_weights() -> None:
    dense = network()
    weight = dense[0].weight.detach().clone()
    convert_(dense, "chromatic", num_colors=6, learn_colors=True)
    assert dense[0].values is dense[4].values
    learned = dense[0].scale * dense[0].in_features ** 0.5 * dense[0].shadow
    torch.testing.assert_close(learned, weight)


def test_the_largest_weights_of_all_targets_survive() -> None:
    dense = network()
    weights = torch.cat([dense[i].weight.detach().flatten() for i in (0, 2, 4)])
    convert_(dense, "masked", num_edges=30)
    kept = torch.cat([dense[i].mask.flatten() for i in (0, 2, 4)])
    assert kept.sum() == 30
    assert weights[kept].abs().min() >= weights[~kept].abs().max()
    entries = torch.cat([dense[i].weight.detach().flatten() for i in (0, 2, 4)])
    assert torch.equal(entries, torch.where(kept, weights, 0.0))


@pytest.mark.parametrize("init", ["project", "match"])
@pytest.mark.parametrize("learn_mask", [False, True])
def test_every_masked_layer_keeps_an_edge(init: str, learn_mask: bool) -> None:
    dense = network()
    with torch.no_grad():
        dense[4].weight.mul_(1e-3)
    report = convert_(dense, "masked", num_edges=5, init=init, learn_mask=learn_mask)
    assert report.weights == 5
    assert all(dense[i].num_weights >= 1 for i in (0, 2, 4))


def test_a_mask_for_one_layer() -> None:
    dense = network()
    mask = torch.rand(3, 5) > 0.5
    convert_(dense, "masked", target_modules=["4"], mask=mask)
    assert torch.equal(dense[4].mask, mask)


@pytest.mark.parametrize(("name", "layer", "keywords"), NAMED, ids=[n[0] for n in NAMED])
def test_a_dry_run_tells_all_and_changes_nothing(
    name: str, layer: type[StructuredLinear], keywords: dict[str, Any]
) -> None:
    dense = network()
    before, random_state = state_of(dense), torch.get_rng_state()
    planned = convert_(dense, name, init="match", dry_run=True, **keywords)
    assert_untouched(dense, before)
    assert torch.equal(torch.get_rng_state(), random_state)
    done = convert_(dense, name, init="match", **keywords)
    assert (planned.dry_run, done.dry_run) == (True, False)
    assert planned.changes == done.changes
    assert planned.weights == done.weights


def test_a_dry_run_leaves_a_given_palette_alone() -> None:
    palette = Palette(3)
    before = palette.values.detach().clone()
    convert_(network(), "chromatic", palette=palette, dry_run=True, init="match")
    assert torch.equal(palette.values, before)
    assert palette.is_fresh


def test_the_report_reads_as_a_table() -> None:
    report = convert_(network(), "toeplitz", target_modules=["0", "2"], dry_run=True)
    lines = str(report).splitlines()
    assert lines[0].startswith("0  Linear(in_features=6, out_features=8, bias=True) -> Toeplitz")
    assert lines[-1] == "88 weights would become 25"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "layer", "keywords"), NAMED, ids=[n[0] for n in NAMED])
def test_type_mode_and_flags_are_kept(
    dtype: torch.dtype, name: str, layer: type[StructuredLinear], keywords: dict[str, Any]
) -> None:
    dense = network().to(dtype)
    dense[0].eval()
    dense[0].weight.requires_grad_(False)
    dense[2].bias.requires_grad_(False)
    convert_(dense, name, target_modules=["0"], **{**keywords, **_small(name)})
    convert_(dense, name, target_modules=["2"], **{**keywords, **_small(name)})
    assert not dense[0].training
    assert dense[2].training
    assert all(p.dtype == dtype for p in dense.parameters())
    assert not any(p.requires_grad for n, p in dense[0].named_parameters() if n != "bias")
    assert dense[0].bias.requires_grad
    assert dense[2].values.requires_grad
    assert not dense[2].bias.requires_grad


def _small(name: str) -> dict[str, int]:
    return {"num_edges": 10} if name == "masked" else {}


def test_a_shared_palette_is_trained_if_one_layer_is() -> None:
    dense = network()
    dense[4].weight.requires_grad_(False)
    convert_(dense, "chromatic", num_colors=4)
    assert dense[0].values.requires_grad
    assert not dense[4].scale.requires_grad


def test_layers_without_bias() -> None:
    dense = mlp(4, [5], 3, bias=False, output_bias=False)
    convert_(dense, "chromatic", num_colors=3)
    assert dense[0].bias is None


@pytest.mark.parametrize("value", [0.0, 2.5])
@pytest.mark.parametrize("init", ["project", "match"])
def test_layers_of_equal_weights(value: float, init: str) -> None:
    dense = network()
    nn.init.constant_(dense[2].weight, value)
    convert_(dense, "chromatic", num_colors=5, init=init)
    assert dense[2].weight.isfinite().all()
    if init == "project":
        assert float((dense[2].weight - value).detach().abs().max()) < 0.1 * abs(value) + 1e-6


def test_a_failure_half_way_leaves_the_module_untouched() -> None:
    dense = network()
    with torch.no_grad():
        dense[4].weight[0, 0] = torch.nan
    before = state_of(dense)
    with pytest.raises(StructuredLayersError, match="^4: .*finite weights"):
        convert_(dense, "toeplitz")
    with pytest.raises(StructuredLayersError, match="^4: .*finite weights"):
        convert_(dense, "chromatic", num_colors=3)
    with pytest.raises(StructuredLayersError, match="^4: .*finite weights"):
        convert_(dense, "hankel", init="match")
    assert all(type(dense[i]) is nn.Linear for i in (0, 2, 4))
    torch.testing.assert_close(dense.state_dict(), before, rtol=0, atol=0, equal_nan=True)
    narrow = mlp(6, [8], 1)
    with pytest.raises(StructuredLayersError, match="^2: "):
        convert_(narrow, "low_displacement_rank", rank=2)
    assert type(narrow[0]) is nn.Linear


def test_a_palette_serves_one_type() -> None:
    dense = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.float64))
    with pytest.raises(StructuredLayersError, match="0 is torch.float32.*1 is torch.float64"):
        convert_(dense, "chromatic", num_colors=3)
    convert_(dense, "chromatic", num_colors=3, share_palette=False)
    assert dense[1].values.dtype == torch.float64


def test_converted_networks_train() -> None:
    converted = network()
    convert_(converted, "chromatic", num_colors=6)
    inputs, targets = torch.randn(64, 6), torch.randn(64, 3)
    optimizer = torch.optim.Adam(converted.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(converted(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
