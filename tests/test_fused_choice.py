"""The quick way to show learned colours and masks equals the one that every transform knows."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from structured_layers import ChromaticLinear, MaskedLinear
from structured_layers.layers import StructuredLinear, fused_choice, straight_through
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


@torch.no_grad()
@pytest.mark.parametrize(
    "write",
    [
        lambda layer: layer.values.data.mul_(2),
        lambda layer: layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()}),
        lambda layer: setattr(layer.values, "data", 3 * layer.values.data),
        lambda layer: layer.double(),
        lambda layer: layer.weight.zero_(),
        lambda layer: layer.weight.numpy().fill(0),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: ChromaticLinear(6, 5, palette=4, learn_colors=True),
        lambda: MaskedLinear(6, 5, learn_mask=True, num_edges=7),
    ],
)
def test_a_weight_that_is_shown_again_is_never_out_of_date(
    make: Callable[[], StructuredLinear], write: Callable[[StructuredLinear], object]
) -> None:
    layer, inputs = make(), torch.eye(6)
    layer(inputs)
    write(layer)
    inputs = inputs.to(layer.values)
    with torch.enable_grad():
        expected = layer(inputs).detach()
    assert torch.equal(layer(inputs), expected)


@torch.no_grad()
def test_another_number_of_edges_is_another_weight() -> None:
    layer = MaskedLinear(6, 5, learn_mask=True, num_edges=7)
    layer(torch.eye(6))
    layer.num_edges = 3
    assert int((layer(torch.eye(6)).T - layer.bias[:, None]).abs().gt(1e-6).sum()) == 3


@torch.no_grad()
def test_a_weight_is_built_once_between_two_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, calls = ChromaticLinear(6, 5, palette=4, learn_colors=True), []
    build = fused_choice._nearest_entries
    monkeypatch.setattr(
        fused_choice, "_nearest_entries", lambda *args: calls.append(1) or build(*args)
    )
    for _ in range(3):
        layer(torch.eye(6))
    assert len(calls) == 1
    layer.shadow.data.add_(0.1)
    layer(torch.eye(6))
    assert len(calls) == 2
