"""The quick way to show learned colours and masks equals the one that every transform knows."""

import math

import pytest
import torch
from torch import Tensor

from structured_layers.layers import straight_through
from structured_layers.layers.fused_choice import is_plain_call

SIZES = [((64, 64), 17), ((3, 5), 1), ((1, 1), 1), ((6, 41), 4)]


def colors(shape: tuple[int, int], num_colors: int) -> list[Tensor]:
    torch.manual_seed(0)
    values = torch.randn(num_colors, dtype=torch.float64)
    tensors = [torch.randn(shape, dtype=torch.float64), values, torch.tensor(0.7).double()]
    return [tensor.requires_grad_() for tensor in tensors]


def first_and_second(weight: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Return the weight with first and second derivatives of functions of it."""
    first = torch.autograd.grad((weight**3).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [weight.detach(), *(g.detach() for g in first), *second]


@pytest.mark.parametrize(("shape", "num_colors"), SIZES)
def test_colors(shape: tuple[int, int], num_colors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = colors(shape, num_colors)
    quick = straight_through.learned_chromatic(*inputs)
    with torch.no_grad():
        without = straight_through.learned_chromatic(*inputs)
    found = first_and_second(quick, inputs)
    monkeypatch.setattr(straight_through, "is_plain_call", lambda tensor: False)
    slow = straight_through.learned_chromatic(*inputs)
    assert torch.equal(quick, slow)
    assert torch.equal(without, slow)
    for mine, expected in zip(found, first_and_second(slow, inputs), strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("num_edges", [1, 7, 15])
def test_edges(num_edges: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    quick = straight_through.learned_masked(values, num_edges)
    found = first_and_second(quick, [values])
    monkeypatch.setattr(straight_through, "is_plain_call", lambda tensor: False)
    slow = straight_through.learned_masked(values, num_edges)
    for mine, expected in zip(found, first_and_second(slow, [values]), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=0)


def test_transforms_take_the_other_way() -> None:
    seen = []

    def remember(tensor: Tensor) -> Tensor:
        seen.append(is_plain_call(tensor))
        return tensor.sum()

    matrix = torch.ones(2, 2)
    remember(matrix)
    torch.func.grad(remember)(matrix)
    torch.func.vmap(remember)(torch.ones(3, 2, 2))
    assert not is_plain_call(torch.ones(1, 2, 2))
    assert seen == [True, False, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("gradients", [False, True])
def test_what_is_not_finite_shows(
    value: float, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = torch.randn(4, 5)
    dense[1, 2] = value
    palette, scale = torch.tensor([-0.5, 0.5]), torch.tensor(2.0)

    def weights() -> list[Tensor]:
        with torch.set_grad_enabled(gradients):
            chromatic = straight_through.learned_chromatic(dense, palette, scale)
            return [chromatic, straight_through.learned_masked(dense, 3)]

    found = weights()
    monkeypatch.setattr(straight_through, "is_plain_call", lambda tensor: False)
    for mine, slow in zip(found, weights(), strict=True):
        assert mine.isnan().nonzero().tolist() == [[1, 2]]
        assert torch.equal(mine.nan_to_num(), slow.nan_to_num())


def test_tensors_that_are_not_contiguous() -> None:
    dense = torch.randn(5, 4).t()
    palette, scale = torch.tensor([-0.5, 0.5]), torch.tensor(2.0)
    with torch.no_grad():
        found = straight_through.learned_chromatic(dense, palette, scale)
        expected = straight_through.learned_chromatic(dense.contiguous(), palette, scale)
    assert torch.equal(found, expected)
