"""Masked layers that keep a number of edges together in the place of dense ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import StructuredLayersError
from ..layers import MaskedLinear, StructuredLinear
from ..layers.base import as_integer
from .single import build_one

Linears = Mapping[str, nn.Linear]


def build_masked(
    linears: Linears,
    project: bool,
    *,
    num_edges: int,
    mask: Tensor | None = None,
    learn_mask: bool = False,
) -> dict[str, StructuredLinear]:
    """Build the masked layers of all targets, which keep ``num_edges`` edges in all.

    These are the largest weights of all targets together, or random ones if the values are fresh;
    but every layer keeps at least one, since a layer without edges cuts the network in two.

    Args:
        linears: the dense layers by name.
        project: whether the values are those of the dense layers.
        num_edges: how many edges survive in all.
        mask: none, since it excludes ``num_edges``.
        learn_mask: whether gradients learn which edges survive; each layer then keeps its number.

    Raises:
        StructuredLayersError: if the number is impossible, or a mask is given too.
    """
    num_edges = _checked_num_edges(num_edges, linears, mask)
    scores = {
        name: linear.weight.detach().cpu().double().abs()
        if project
        else torch.rand(linear.weight.shape)
        for name, linear in linears.items()
    }
    built = {}
    for name, kept in _largest(scores, num_edges).items():
        keywords: dict[str, Any] = {"mask": kept}
        if learn_mask:
            keywords = {"learn_mask": True, "num_edges": int(kept.sum())}
        built[name] = build_one(MaskedLinear, name, linears[name], project, keywords)
    return built


def _largest(scores: Mapping[str, Tensor], num_edges: int) -> dict[str, Tensor]:
    """Return masks of the largest scores over all layers, and of the largest of each layer."""
    flat = [score.flatten().clone() for score in scores.values()]
    for score in flat:
        score[score.argmax()] = torch.inf
    order = torch.cat(flat).argsort(descending=True, stable=True)
    kept = torch.zeros(len(order), dtype=torch.bool)
    kept[order[:num_edges]] = True
    parts = torch.split(kept, [len(score) for score in flat])
    return {
        name: part.view(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }


def _checked_num_edges(num_edges: int, linears: Linears, mask: Tensor | None) -> int:
    if mask is not None:
        raise StructuredLayersError(
            f"a masked conversion takes either mask or num_edges, got num_edges={num_edges!r} as "
            "well as a mask"
        )
    possible = sum(linear.weight.numel() for linear in linears.values())
    allowed = range(len(linears), possible + 1)
    count = as_integer(num_edges)
    if count is None or count not in allowed:
        raise StructuredLayersError(
            f"num_edges must be between {len(linears)}, one for each target, and {possible}, all "
            f"of their edges, got {num_edges!r}"
        )
    return count
