"""Networks built by mlp."""

from functools import partial

import pytest
import torch
from torch import nn

from structured_layers import MaskedLinear, StructuredLayersError, ToeplitzLinear, mlp


def test_layers_and_activations_alternate() -> None:
    network = mlp(4, (8, 5), 2, layer=ToeplitzLinear, activation=nn.ReLU)
    kinds = [type(module) for module in network]
    assert kinds == [ToeplitzLinear, nn.ReLU, ToeplitzLinear, nn.ReLU, ToeplitzLinear]
    assert [layer.num_weights for layer in network[::2]] == [11, 12, 6]
    assert network(torch.randn(3, 4)).shape == (3, 2)


def test_no_hidden_layer_makes_a_linear_policy() -> None:
    network = mlp(8, [], 2, output_bias=False)
    assert [type(module) for module in network] == [nn.Linear]
    assert network[0].bias is None


@pytest.mark.parametrize(("bias", "output_bias"), [(True, False), (False, True)])
def test_biases_of_hidden_and_last_layers_are_chosen_apart(bias: bool, output_bias: bool) -> None:
    network = mlp(4, [3, 3], 2, layer=MaskedLinear, bias=bias, output_bias=output_bias)
    assert [layer.bias is not None for layer in network[::2]] == [bias, bias, output_bias]


def test_a_layer_may_be_any_callable() -> None:
    network = mlp(4, [3], 2, layer=partial(nn.Linear, dtype=torch.float64))
    assert network(torch.zeros(4, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [3], 2), "in_features must be an integer of at least 1, got 0"),
        ((4, [3, 0], 2), "each hidden size must be an integer of at least 1, got 0"),
        ((4, [3.0], 2), "got 3.0"),
        ((4, [3], -1), "out_features must be an integer of at least 1, got -1"),
        ((4, 3, 2), r"hidden must be a sequence of layer sizes such as \[41\] .* got 3"),
        ((4, "32", 2), "got '32'"),
    ],
)
def test_bad_sizes(arguments: tuple, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        mlp(*arguments)
