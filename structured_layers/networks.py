"""Feed-forward networks of any linear layer, with and without edges that skip layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from .errors import StructuredLayersError
from .layers import MaskedLinear, UnitActivations
from .layers.base import check_size


def mlp(
    in_features: int,
    hidden: Sequence[int],
    out_features: int,
    layer: Callable[..., nn.Module] = nn.Linear,
    activation: Callable[..., nn.Module] = nn.Tanh,
    bias: bool = True,
    output_bias: bool = True,
) -> nn.Sequential:
    """Build a multi-layer perceptron: layers with an activation between any two.

    Args:
        in_features: size of each input sample.
        hidden: the sizes of the hidden layers; an empty sequence makes a linear policy.
        out_features: size of each output sample.
        layer: makes one layer, called as ``layer(in_features, out_features, bias=...)``.
        activation: makes one activation; :class:`UnitActivations` is given the layer's size.
        bias: whether the hidden layers have a bias.
        output_bias: whether the last layer has a bias.

    Returns:
        The layers and activations as an ``nn.Sequential``.

    Raises:
        StructuredLayersError: if a size is not an integer of at least 1.

    Examples:
        >>> from functools import partial
        >>> from structured_layers import ChromaticLinear, Palette
        >>> mlp(17, [41], 6, layer=partial(ChromaticLinear, palette=Palette(17)))
        Sequential(
          (0): ChromaticLinear(17 → 41, colors=17, bias=True)
          (1): Tanh()
          (2): ChromaticLinear(41 → 6, colors=17, bias=True)
        )
    """
    sizes = _sizes(in_features, hidden)
    modules: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
        modules += [layer(fan_in, fan_out, bias=bias), _activation(activation, fan_out)]
    out_features = check_size("out_features", out_features)
    return nn.Sequential(*modules, layer(sizes[-1], out_features, bias=output_bias))


@final
class SkipMLP(nn.Module):
    r"""A network whose edges may skip layers, from the inputs straight to the outputs too.

    .. math:: v_j = f_j\Big(\sum_{i < j} v_i w_{ij} + b_j\Big)

    The values v are computed group by group: the inputs, the groups of hidden units, the outputs.
    A unit may see the inputs and the units of all groups before its own. ``hidden=[1] * k`` is the
    general acyclic network of k hidden units. Which edges exist is the mask of each layer, and
    :func:`~structured_layers.topology_to_vector` gives the mask over all edges that there can be.

    Args:
        in_features: size of each input sample.
        hidden: the sizes of the groups of hidden units; an empty sequence makes a linear policy.
        out_features: size of each output sample.
        layer: makes the layer into one group, called as ``layer(in_features, out_features,
            bias=...)``, where the former counts the inputs and all units of earlier groups.
        activation: makes one activation; :class:`UnitActivations` is given the group's size.
        bias: whether the hidden units have a bias.
        output_bias: whether the outputs have a bias.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        layers: one for each hidden group, and the one into the outputs.
        activations: one for each hidden group.

    Raises:
        StructuredLayersError: if a size is not an integer of at least 1.

    Examples:
        >>> network = SkipMLP(8, [32], 2, activation=UnitActivations)
        >>> network.layers
        ModuleList(
          (0): MaskedLinear(8 → 32, edges=256, bias=True)
          (1): MaskedLinear(40 → 2, edges=80, bias=True)
        )
        >>> network(torch.randn(5, 8)).shape
        torch.Size([5, 2])

    Reference:
        Song et al., ES-ENAS, 2021; Gaier & Ha, Weight Agnostic Neural Networks, 2019.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        layer: Callable[..., nn.Module] = MaskedLinear,
        activation: Callable[..., nn.Module] = nn.Tanh,
        bias: bool = True,
        output_bias: bool = True,
    ) -> None:
        """Make the layer into each group, of all that lies before it."""
        super().__init__()
        sizes = _sizes(in_features, hidden)
        self.in_features = sizes[0]
        self.out_features = check_size("out_features", out_features)
        seen = [sum(sizes[:i]) for i in range(1, len(sizes) + 1)]
        into_groups = zip(seen, sizes[1:], strict=False)
        self.layers = nn.ModuleList(layer(before, size, bias=bias) for before, size in into_groups)
        self.layers.append(layer(seen[-1], self.out_features, bias=output_bias))
        self.activations = nn.ModuleList(_activation(activation, size) for size in sizes[1:])

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, in_features)`` to ``(*, out_features)``."""
        values = input
        for layer, activation in zip(self.layers, self.activations, strict=False):
            values = torch.cat([values, activation(layer(values))], dim=-1)
        output: Tensor = self.layers[-1](values)
        return output


def _sizes(in_features: int, hidden: Sequence[int]) -> list[int]:
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise StructuredLayersError(
            f"hidden must be a sequence of layer sizes such as [41] or [] for none, got {hidden!r}"
        )
    sizes = [check_size("in_features", in_features)]
    return sizes + [check_size("each hidden size", size) for size in hidden]


def _activation(activation: Callable[..., nn.Module], size: int) -> nn.Module:
    return activation(size) if activation is UnitActivations else activation()
