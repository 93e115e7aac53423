"""The discrete structure of a network as one integer vector.

Layers are visited in the order of ``network.modules()``, the buffers of a layer in the order of its
``topology_names``, the entries of a buffer row by row.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .errors import StructuredLayersError


def topology_size(network: nn.Module) -> int:
    """Return the length of a network's topology vector.

    Examples:
        >>> from structured_layers import ChromaticLinear, MaskedLinear
        >>> topology_size(nn.Sequential(ChromaticLinear(3, 4, palette=2), MaskedLinear(4, 2)))
        20
    """
    return sum(buffer.numel() for _, buffer, _ in _structure(network))


def topology_to_vector(network: nn.Module) -> Tensor:
    """Return the colours, masks and other discrete structure of a network.

    Args:
        network: any module; only the structure buffers of its layers are read.

    Returns:
        (K,) int64, a copy; empty for a network without discrete structure.

    Examples:
        >>> from structured_layers import MaskedLinear
        >>> topology_to_vector(MaskedLinear(2, 1, mask=torch.tensor([[True, False]])))
        tensor([1, 0])
    """
    parts = [buffer.detach().flatten().long() for _, buffer, _ in _structure(network)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def vector_to_topology(vector: Tensor, network: nn.Module) -> None:
    """Write a vector from :func:`topology_to_vector` into the structure buffers of a network.

    The whole vector is checked before anything is written.

    Args:
        vector: (K,) integers.
        network: the network that is changed in place.

    Raises:
        StructuredLayersError: if the vector has another type or length, or an entry out of range.

    Examples:
        >>> from structured_layers import ChromaticLinear
        >>> layer = ChromaticLinear(2, 2, palette=3)
        >>> vector_to_topology(torch.tensor([0, 1, 2, -1]), layer)
        >>> layer.colors
        tensor([[ 0,  1],
                [ 2, -1]])
    """
    structure = list(_structure(network))
    _check_vector(vector, sum(buffer.numel() for _, buffer, _ in structure))
    parts, start = [], 0
    for name, buffer, allowed in structure:
        parts.append(vector[start : start + buffer.numel()].view(buffer.shape))
        _check_range(name, parts[-1], allowed)
        start += buffer.numel()
    for (_, buffer, _), part in zip(structure, parts, strict=True):
        buffer.copy_(part)


def _structure(network: nn.Module) -> Iterator[tuple[str, Tensor, range]]:
    """Yield the dotted name, the tensor and the allowed integers of every structure buffer."""
    for path, module in network.named_modules():
        for name in getattr(module, "topology_names", ()):
            dotted = f"{path}.{name}" if path else name
            yield dotted, module.get_buffer(name), module.topology_range(name)


def _check_vector(vector: Tensor, size: int) -> None:
    if not isinstance(vector, Tensor):
        raise StructuredLayersError(
            f"a topology vector must be an integer tensor of shape ({size},), "
            f"got a {type(vector).__name__}"
        )
    is_integer = not (vector.is_floating_point() or vector.is_complex())
    if vector.shape != (size,) or not is_integer or vector.dtype == torch.bool:
        raise StructuredLayersError(
            f"a topology vector of this network must be an integer tensor of shape ({size},), "
            f"got {vector.dtype} of shape {tuple(vector.shape)}"
        )


def _check_range(name: str, part: Tensor, allowed: range) -> None:
    low, high = int(part.min()), int(part.max())
    if low not in allowed or high not in allowed:
        raise StructuredLayersError(
            f"{name} takes integers from {allowed[0]} to {allowed[-1]}, got {low} to {high}"
        )
