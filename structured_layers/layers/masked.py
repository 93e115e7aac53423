"""Layers that keep a subset of their edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear, mean_fan_in


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """Return ``values`` where ``mask`` is True and 0 elsewhere.

    Args:
        values: (*batch, out, in).
        mask: (*batch, out, in) bool, or (out, in) for the whole batch.

    Returns:
        (*batch, out, in).

    Examples:
        >>> masked(torch.tensor([[1.0, 2.0]]), torch.tensor([[True, False]]))
        tensor([[1., 0.]])
    """
    return torch.where(mask, values, 0.0)


@final
class MaskedLinear(StructuredLinear):
    r"""Linear layer that keeps the edges of a mask; all others are zero.

    .. math:: W_{ij} = M_{ij} V_{ij}

    Every possible edge owns a value, so that a search can move between masks and find the weight of
    an edge again when it returns; only the values of surviving edges count.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        mask: (out, in) bool, True for the edges that survive; all of them by default.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(out_features, in_features)``, one value for each possible edge.
        mask: ``(out_features, in_features)`` bool buffer.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear, mask=...)`` keeps the weights of the mask's edges, ``num_edges=64`` those
    of the 64 largest absolute weights; both are nearest in the Frobenius norm.

    Raises:
        StructuredLayersError: if the mask does not fit the layer.

    Examples:
        >>> layer = MaskedLinear(2, 2, mask=torch.tensor([[True, False], [True, True]]))
        >>> layer
        MaskedLinear(2 → 2, edges=3, bias=True)
        >>> layer(torch.randn(5, 2)).shape
        torch.Size([5, 2])

    Reference:
        Song et al., ES-ENAS: Efficient Evolutionary Optimization for Large Hybrid Search Spaces,
        2021.
    """

    topology_names: ClassVar[tuple[str, ...]] = ("mask",)
    mask: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        mask: Tensor | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Check the mask, allocate and draw the values."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        shape = (self.out_features, self.in_features)
        self.values = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        mask = torch.ones(shape, dtype=torch.bool) if mask is None else _check_mask(mask, shape)
        self.register_buffer("mask", mask.to(self.values.device, copy=True))
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, out, in)``."""
        return masked(parameters["values"], buffers["mask"])

    @property
    def num_weights(self) -> int:
        """The number of edges that survive."""
        return int(self.mask.sum())

    def topology_range(self, name: str) -> range:
        """Return 0 for a removed edge and 1 for one that survives."""
        return range(2) if name == "mask" else super().topology_range(name)

    def _fan_in(self) -> float:
        return mean_fan_in(self.mask)

    def _structure_fields(self) -> dict[str, object]:
        return {"edges": "?" if self.mask.is_meta else self.num_weights}

    @classmethod
    def _nearest(
        cls,
        weight: Tensor,
        *args: Any,
        mask: Tensor | None = None,
        num_edges: int | None = None,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if num_edges is None:
            return {"mask": mask}, {"values": weight}
        if mask is not None:
            raise StructuredLayersError(
                f"from_linear takes either mask or num_edges, got a mask and num_edges={num_edges}"
            )
        return {"mask": _largest(weight, num_edges)}, {"values": weight}


def _largest(weight: Tensor, num_edges: int) -> Tensor:
    """Return the mask of the entries of largest absolute value, the first ones in a tie."""
    if isinstance(num_edges, bool) or num_edges not in range(1, weight.numel() + 1):
        raise StructuredLayersError(
            f"num_edges must be between 1 and {weight.numel()} (= in_features × out_features), "
            f"got {num_edges!r}"
        )
    order = weight.abs().flatten().argsort(descending=True, stable=True)
    mask = torch.zeros_like(order, dtype=torch.bool)
    mask[order[:num_edges]] = True
    return mask.view(weight.shape)


def _check_mask(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    if not isinstance(mask, Tensor):
        raise StructuredLayersError(
            f"mask must be a bool tensor of shape {shape}, got a {type(mask).__name__}"
        )
    if mask.shape != shape or mask.dtype != torch.bool:
        raise StructuredLayersError(
            f"mask must be a bool tensor of shape {shape} (= out_features, in_features), "
            f"got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    return mask
