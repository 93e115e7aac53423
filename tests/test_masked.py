"""Masks, and the choice of the edges that survive."""

from typing import Any

import pytest
import torch
from torch import nn

from structured_layers import MaskedLinear, StructuredLayersError


def test_all_edges_survive_by_default() -> None:
    layer = MaskedLinear(3, 2)
    assert torch.equal(layer.weight, layer.values)
    assert layer.num_weights == 6


def test_removed_edges_are_zero_and_get_no_gradient() -> None:
    mask = torch.tensor([[True, False], [False, True]])
    layer = MaskedLinear(2, 2, mask=mask)
    layer(torch.ones(1, 2)).sum().backward()
    assert torch.equal(layer.weight != 0, mask)
    assert torch.equal(layer.values.grad, mask.float())


def test_a_removed_value_that_is_not_finite_stays_out_of_the_weight() -> None:
    layer = MaskedLinear(2, 1, mask=torch.tensor([[True, False]]))
    with torch.no_grad():
        layer.values[0, 1] = float("nan")
    assert layer.weight.isfinite().all()


def test_the_callers_mask_is_copied() -> None:
    mask = torch.ones(2, 2, dtype=torch.bool)
    layer = MaskedLinear(2, 2, mask=mask)
    mask.zero_()
    assert layer.num_weights == 4


def test_from_linear_keeps_the_largest_weights() -> None:
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -5.0, 0.1], [-0.2, 4.0, 1.0]]))
    layer = MaskedLinear.from_linear(linear, num_edges=3)
    expected = torch.tensor([[3.0, -5.0, 0.0], [0.0, 4.0, 0.0]])
    assert torch.equal(layer.weight, expected)
    assert layer.num_weights == 3


def test_ties_go_to_the_first_edges() -> None:
    linear = nn.Linear(4, 1)
    nn.init.ones_(linear.weight)
    layer = MaskedLinear.from_linear(linear, num_edges=2)
    assert layer.mask.tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 2, dtype=torch.bool), r"shape \(2, 3\).*got torch.bool of shape \(3, 2\)"),
        (torch.ones(2, 3), r"got torch.float32 of shape \(2, 3\)"),
        (torch.ones(2, 3, dtype=torch.int64), "must be a bool tensor"),
        ([[True] * 3] * 2, "got a list"),
        (torch.zeros(2, 3, dtype=torch.bool), "mask must keep at least one edge"),
    ],
)
def test_bad_masks(mask: object, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        MaskedLinear(3, 2, mask=mask)
    with pytest.raises(StructuredLayersError, match=message):
        MaskedLinear.from_linear(nn.Linear(3, 2), mask=mask)


@pytest.mark.parametrize("num_edges", [0, -1, 7, 2.5, True, "3"])
def test_bad_numbers_of_edges(num_edges: object) -> None:
    with pytest.raises(StructuredLayersError, match="num_edges must be between 1 and 6"):
        MaskedLinear.from_linear(nn.Linear(3, 2), num_edges=num_edges)


@pytest.mark.parametrize("build", [MaskedLinear, MaskedLinear.from_linear])
def test_text_is_no_truth(build: Any) -> None:
    arguments = (3, 2) if build is MaskedLinear else (nn.Linear(3, 2),)
    with pytest.raises(StructuredLayersError, match="learn_mask must be True or False, got 'no'"):
        build(*arguments, learn_mask="no", num_edges=3)


def test_mask_and_number_of_edges_exclude_each_other() -> None:
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(StructuredLayersError, match="either mask or num_edges"):
        MaskedLinear.from_linear(nn.Linear(3, 2), mask=mask, num_edges=2)
