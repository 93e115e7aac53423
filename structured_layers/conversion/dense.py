"""Structured networks as dense ones."""

from __future__ import annotations

import copy

from torch import nn

from ..errors import StructuredLayersError
from ..layers import StructuredLinear


def to_dense(module: nn.Module) -> nn.Module:
    """Return a copy of a module in which every structured layer is an ``nn.Linear``.

    The copy computes the same and shares nothing with the module. A weight requires a gradient if
    the values that it was made of do.

    Args:
        module: any module, or a structured layer itself.

    Raises:
        StructuredLayersError: for anything that is no module.

    Examples:
        >>> from structured_layers import ToeplitzLinear, mlp
        >>> to_dense(mlp(17, [41], 6, layer=ToeplitzLinear))
        Sequential(
          (0): Linear(in_features=17, out_features=41, bias=True)
          (1): Tanh()
          (2): Linear(in_features=41, out_features=6, bias=True)
        )
    """
    if not isinstance(module, nn.Module):
        raise StructuredLayersError(f"to_dense needs a module, got a {type(module).__name__}")
    if isinstance(module, StructuredLinear):
        return _dense_layer(module)
    dense = copy.deepcopy(module)
    made: dict[int, nn.Linear] = {}  # a layer that is used twice stays one layer
    for parent in list(dense.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, StructuredLinear) and not isinstance(parent, StructuredLinear):
                made.setdefault(id(child), _dense_layer(child))
                setattr(parent, name, made[id(child)])
    return dense


def _dense_layer(layer: StructuredLinear) -> nn.Linear:
    linear = layer.to_linear().train(layer.training)
    linear.weight.requires_grad_(layer.values.requires_grad)
    if layer.bias is not None:
        linear.bias.requires_grad_(layer.bias.requires_grad)
    return linear
