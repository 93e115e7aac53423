"""Structured networks as dense ones."""

from typing import Any

import pytest
import torch
from conversion_cases import NAMED, network
from torch import nn

from structured_layers import (
    StructuredLayersError,
    StructuredLinear,
    ToeplitzLinear,
    convert_,
    to_dense,
)


@pytest.mark.parametrize(("name", "layer", "keywords"), NAMED, ids=[n[0] for n in NAMED])
def test_to_dense_computes_the_same(
    name: str, layer: type[StructuredLinear], keywords: dict[str, Any]
) -> None:
    converted = network()
    convert_(converted, name, **keywords)
    converted[0].eval()
    dense = to_dense(converted)
    inputs = torch.randn(9, 6)
    torch.testing.assert_close(dense(inputs), converted(inputs))
    assert [type(dense[i]) for i in (0, 2, 4)] == [nn.Linear] * 3
    assert [type(converted[i]) for i in (0, 2, 4)] == [layer] * 3
    assert not dense[0].training
    assert dense[0].weight.requires_grad
    shared = {p.data_ptr() for p in dense.parameters()} & {
        p.data_ptr() for p in converted.parameters()
    }
    assert not shared


def test_to_dense_of_one_layer_and_of_one_used_twice() -> None:
    layer = ToeplitzLinear(3, 3)
    layer.values.requires_grad_(False)
    dense = to_dense(layer)
    assert torch.equal(dense.weight, layer.weight)
    assert not dense.weight.requires_grad
    twice = to_dense(nn.Sequential(layer, nn.Tanh(), layer))
    assert twice[0] is twice[2]
    with pytest.raises(StructuredLayersError, match="to_dense needs a module, got a Tensor"):
        to_dense(torch.zeros(2))
