"""What a decoder has to be to serve a layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import as_integer

# What modules raise for input that is not theirs.
REFUSALS = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def decoder_size(decoder: nn.Module) -> int:
    """Return the length of a decoder's codes.

    Raises:
        StructuredLayersError: if it does not say that.
    """
    size = as_integer(getattr(decoder, "latent_size", None))
    if size is None or size < 1:
        raise StructuredLayersError(
            f"a decoder needs an attribute latent_size, an integer of at least 1; this "
            f"{type(decoder).__name__} has {getattr(decoder, 'latent_size', 'none')!r}"
        )
    return size


def placed_tensor(name: str, tensor: Tensor, values: Tensor) -> Tensor:
    """Return a copy of a decoder's tensor on the device of a code and, if real, of its type.

    Raises:
        StructuredLayersError: if it is not finite there, by the name that it has in the decoder.
    """
    placed = tensor.to(values.device, copy=True)
    if not placed.is_floating_point():
        return placed
    placed = placed.to(values.dtype)
    if not placed.is_meta and not bool(placed.isfinite().all()):
        raise StructuredLayersError(
            f"a decoder needs finite tensors, but its {name} is NaN or infinite in places, in "
            f"{placed.dtype}; train or load it first"
        )
    return placed


@torch.no_grad()
def check_decoder(
    decode: Callable[[Tensor], Tensor], values: Tensor, sizes: tuple[int, int]
) -> None:
    """Refuse a decoder that makes weights of other sizes (out, in), or cannot take several codes.

    Args:
        decode: the decoder.
        values: (k,), a code; only its size, type and device count.
        sizes: (out_features, in_features).
    """
    out_features, in_features = sizes
    needed = (
        f"a layer {in_features} → {out_features} needs a decoder of weights {sizes} "
        "(out_features, in_features)"
    )
    codes = values.new_zeros(2, len(values))
    try:
        one, two = (tuple(decode(code).shape) for code in (codes[0], codes))
    except REFUSALS as error:
        raise StructuredLayersError(
            f"{needed}, this one takes no codes of shapes {tuple(values.shape)} and "
            f"{tuple(codes.shape)}: {error}"
        ) from error
    if one != sizes or two != (2, *sizes):
        made = str(one) if two == (2, *one) else f"{one}, of two codes {two}"
        raise StructuredLayersError(
            f"{needed}, this one makes {made}; name the layers that it is for"
        )
