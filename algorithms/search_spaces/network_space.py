"""The space of a network's own structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import SearchSpace
from .colored_edges import ColoredEdges
from .coloring import Coloring
from .edge_mask import EdgeMask
from .edge_space import EdgeSpace
from .edge_subset import EdgeSubset
from .layerwise_edge_subset import LayerwiseEdgeSubset
from .product import ProductSpace
from .unit_activation_choice import UnitActivationChoice

NumKept = int | Sequence[int] | Literal["any"] | None


def network_space(
    network: nn.Module, num_kept: NumKept = None, activations: Sequence[str] | None = None
) -> SearchSpace:
    """Return what :meth:`SearchSpace.of` describes."""
    places = topology_places(network)
    _check_kinds_of_structure(network, set(places))
    factors: dict[str, SearchSpace] = {}
    if "colors" in places:
        factors["colors"] = _colored(network, _sizes(places["colors"]), num_kept)
    if "mask" in places:
        factors["mask"] = _masked(_sizes(places["mask"]), num_kept)
    if "kinds" in places:
        factors["kinds"] = _activated(sum(_sizes(places["kinds"])), activations)
    elif activations is not None:
        raise StructuredLayersError("activations is for networks with UnitActivations")
    spaces, positions = list(factors.values()), [torch.cat(places[name]) for name in factors]
    space = spaces[0] if len(spaces) == 1 else ProductSpace(spaces, positions=positions)
    if space.log10_size == 0:
        raise StructuredLayersError(
            "there is nothing to search, since this network has one structure only; take more "
            "than one colour, fewer kept edges than edges, or more than one activation"
        )
    return space


def topology_places(network: nn.Module) -> dict[str, list[Tensor]]:
    """Return where the buffers of a network's structure lie in its topology vector, by name.

    Examples:
        >>> from structured_layers import MaskedLinear, UnitActivations
        >>> topology_places(nn.Sequential(MaskedLinear(1, 2), UnitActivations(2)))
        {'mask': [tensor([0, 1])], 'kinds': [tensor([2, 3])]}
    """
    places: dict[str, list[Tensor]] = {}
    start = 0
    for layer in network.modules():
        for name in getattr(layer, "topology_names", ()):
            stop = start + layer.get_buffer(name).numel()
            places.setdefault(name, []).append(torch.arange(start, stop))
            start = stop
    return places


def _sizes(places: list[Tensor]) -> list[int]:
    return [part.numel() for part in places]


def _check_kinds_of_structure(network: nn.Module, names: set[str]) -> None:
    if not names or {"colors", "mask"} <= names or names - {"colors", "mask", "kinds"}:
        raise StructuredLayersError(
            "a search needs a network whose structured layers are all ChromaticLinear or all "
            "MaskedLinear, or one with UnitActivations, got "
            f"{type(network).__name__} with {sorted(names) or 'no structure'}"
        )


def _colored(network: nn.Module, sizes: list[int], num_kept: NumKept) -> SearchSpace:
    coloring = Coloring.from_network(network)
    return coloring if num_kept is None else ColoredEdges(coloring, _masked(sizes, num_kept))


def _masked(sizes: list[int], num_kept: NumKept) -> EdgeSpace:
    if num_kept == "any":
        return EdgeMask(sum(sizes))
    if isinstance(num_kept, int):
        return EdgeSubset(sum(sizes), num_kept)
    if num_kept is None or isinstance(num_kept, str):
        raise StructuredLayersError(
            "a masked network needs num_kept, the edges to keep: a number, one for each layer, or "
            f"'any' for a boolean mask, got {num_kept!r}"
        )
    if len(num_kept) != len(sizes):
        raise StructuredLayersError(
            f"num_kept must name the edges that each of {len(sizes)} layers keeps, got "
            f"{list(num_kept)}"
        )
    return LayerwiseEdgeSubset(list(zip(sizes, num_kept, strict=True)))


def _activated(num_units: int, activations: Sequence[str] | None) -> SearchSpace:
    if activations is None:
        return UnitActivationChoice(num_units)
    return UnitActivationChoice(num_units, activations)
