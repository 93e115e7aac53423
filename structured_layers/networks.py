"""Feed-forward networks of any linear layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from .errors import StructuredLayersError
from .layers.base import check_size


def mlp(
    in_features: int,
    hidden: Sequence[int],
    out_features: int,
    layer: Callable[..., nn.Module] = nn.Linear,
    activation: Callable[[], nn.Module] = nn.Tanh,
    bias: bool = True,
    output_bias: bool = True,
) -> nn.Sequential:
    """Build a multi-layer perceptron: layers with an activation between any two.

    Args:
        in_features: size of each input sample.
        hidden: the sizes of the hidden layers; an empty sequence makes a linear policy.
        out_features: size of each output sample.
        layer: makes one layer, called as ``layer(in_features, out_features, bias=...)``.
        activation: makes one activation.
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
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise StructuredLayersError(
            f"hidden must be a sequence of layer sizes such as [41] or [] for none, got {hidden!r}"
        )
    sizes = [check_size("in_features", in_features)]
    sizes += [check_size("each hidden size", size) for size in hidden]
    modules: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
        modules += [layer(fan_in, fan_out, bias=bias), activation()]
    out_features = check_size("out_features", out_features)
    return nn.Sequential(*modules, layer(sizes[-1], out_features, bias=output_bias))
