"""One structured layer in the place of one dense one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StructuredLayersError
from ..layers import LatentLinear, StructuredLinear


def build_one(
    layer: type[StructuredLinear],
    name: str,
    linear: nn.Linear,
    project: bool,
    keywords: Mapping[str, Any],
) -> StructuredLinear:
    """Build the layer for one target, and say its name if that fails.

    Args:
        layer: the class.
        name: full dotted name of the target.
        linear: the target, which is only read.
        project: whether the weights are the nearest ones, or fresh ones of the same spread.
        keywords: the structure.
    """
    with naming(name):
        if project or not linear.weight.any():  # scaling by 0 would kill products of values
            return layer.from_linear(linear, **keywords)
        return match_spread_(fresh(layer, linear, keywords), linear)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of a layer in front of the library's own errors."""
    try:
        yield
    except StructuredLayersError as error:
        raise StructuredLayersError(f"{name}: {error}") from error


def fresh(
    layer: type[StructuredLinear], linear: nn.Linear, keywords: Mapping[str, Any]
) -> StructuredLinear:
    """Return a layer of the sizes, device and dtype of a dense one, with its biases."""
    has_bias = linear.bias is not None
    placement: dict[str, Any] = {"device": linear.weight.device, "dtype": linear.weight.dtype}
    made = layer(linear.in_features, linear.out_features, has_bias, **keywords, **placement)
    if made.bias is not None:
        with torch.no_grad():
            made.bias.copy_(linear.bias)
    return made


@torch.no_grad()
def match_spread_(layer: StructuredLinear, linear: nn.Linear) -> StructuredLinear:
    """Scale a layer's values so that its weight has the spread of a dense one, and return it.

    The code of a latent layer is drawn for that spread, and comes as near as its decoder allows.
    """
    found, wanted = spread(layer.weight), spread(linear.weight)
    if not math.isfinite(wanted):
        raise StructuredLayersError(
            'init="match" needs finite weights, but those of the layer are NaN or infinite in '
            "places; initialise or load the layer first"
        )
    ratio = wanted / found if found else 1.0
    if isinstance(layer, LatentLinear):  # a multiple of the code is no multiple of the weight
        layer.draw_values(wanted)
        return layer
    scale: Tensor | None = getattr(layer, "scale", None)
    if scale is None:
        layer.values.mul_(ratio ** (1 / _degree(layer)))
        return layer
    scale.mul_(ratio)
    return layer


def spread(weight: Tensor) -> float:
    """Return the standard deviation of the entries, their root mean square if they are all equal.

    A layer of one input and one output has a gain too, but no standard deviation.
    """
    weight = weight.detach().double()
    deviation = float(weight.std(correction=0))
    # Equal entries leave a deviation of the size of rounding errors.
    size = float(weight.square().mean().sqrt())
    return deviation if deviation > 1e-9 * size or not math.isfinite(size) else size


def _degree(layer: StructuredLinear) -> int:
    """Return d if the weight of c times the values is cᵈ times the weight.

    It is 1 for most structures, and 2 for those whose values are multiplied with each other.
    """
    values = {name: p.detach() for name, p in layer.named_parameters(recurse=False)}
    buffers = dict(layer.named_buffers(recurse=False))
    weight = layer.weight_from(values, buffers)
    doubled = layer.weight_from({**values, "values": 2 * values["values"]}, buffers)
    for degree in (1, 2):
        if torch.allclose(doubled, 2**degree * weight, rtol=1e-2):
            return degree
    raise StructuredLayersError(
        f'init="match" scales the values, and the weight of a {type(layer).__name__} does not '
        'follow them; use init="project"'
    )
