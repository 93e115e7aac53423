"""Layers that keep a subset of their edges."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear, check_flag, mean_fan_in
from .kept_weight import KeptWeight, may_be_kept
from .straight_through import largest_edges, learned_masked


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

    With ``learn_mask`` gradients move between masks: the ``num_edges`` edges of largest absolute
    value survive at every use, and the gradient of the weight goes straight through to all values,
    so that a removed edge can grow until it replaces another. :meth:`harden` ends the learning.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        mask: (out, in) bool, True for the edges that survive; all of them by default.
        learn_mask: whether gradients learn the mask; excludes ``mask``.
        num_edges: how many edges survive while the mask is learned.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(out_features, in_features)``, one value for each possible edge.
        mask: ``(out_features, in_features)`` bool. A buffer, and the only discrete structure,
            unless the mask is learned: then it follows from the values and is no topology.
            ``reset_parameters`` leaves it alone; after ``to_empty``, load it or write to it first.
        num_edges: how many edges a learned mask keeps, else None.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear, mask=...)`` keeps the weights of the mask's edges, ``num_edges=64`` those
    of the 64 largest absolute weights; both are nearest in the Frobenius norm. With
    ``learn_mask=True`` the given weights are where learning starts.

    Raises:
        StructuredLayersError: if the mask does not fit the layer or removes every edge.

    Examples:
        >>> layer = MaskedLinear(2, 2, mask=torch.tensor([[True, False], [True, True]]))
        >>> layer
        MaskedLinear(2 → 2, edges=3, bias=True)
        >>> layer(torch.randn(5, 2)).shape
        torch.Size([5, 2])
        >>> learning = MaskedLinear(17, 41, learn_mask=True, num_edges=64)
        >>> torch.equal(learning.harden().weight, learning.weight)
        True

    Reference:
        Song et al., ES-ENAS: Efficient Evolutionary Optimization for Large Hybrid Search Spaces,
        2021.
    """

    topology_names: tuple[str, ...] = ("mask",)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        mask: Tensor | None = None,
        learn_mask: bool = False,
        num_edges: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Check the mask, allocate and draw the values."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        shape = (self.out_features, self.in_features)
        self.values = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.num_edges = _learned_edges(shape, mask, learn_mask, num_edges)
        if self.num_edges is None:
            mask = torch.ones(shape, dtype=torch.bool) if mask is None else _check_mask(mask, shape)
            self.register_buffer("mask", mask.to(self.values.device, copy=True))
        else:
            self.topology_names = ()
            self._kept = KeptWeight()
        self.reset_parameters()

    @property
    def mask(self) -> Tensor:
        """The edges that survive, ``(out_features, in_features)`` bool."""
        buffer = self._buffers.get("mask")
        if buffer is not None:
            return buffer
        if self.num_edges is None:
            raise AttributeError("mask")  # as hasattr asks before a buffer is registered
        return largest_edges(self.values, self.num_edges)

    def harden(self) -> Self:
        """Return a copy with its present mask fixed; a layer of fixed mask returns itself."""
        if self.num_edges is None:
            return self
        plain = copy.deepcopy(self)
        # Attributes of the learning layer; the names are those of the class again.
        del plain.topology_names, plain._kept
        plain.num_edges = None
        plain.register_buffer("mask", self.mask)
        return plain

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, out, in)``."""
        if self.num_edges is not None:
            return learned_masked(parameters["values"], self.num_edges)
        return masked(parameters["values"], buffers["mask"])

    def _weight_in_use(self) -> Tensor:
        values = self._parameters["values"]
        if self.num_edges is None or values is None or not may_be_kept(values):
            return super()._weight_in_use()
        return self._kept.show(learned_masked, (values,), self.num_edges)

    @property
    def num_weights(self) -> int:
        """The number of edges that survive."""
        return int(self.mask.sum()) if self.num_edges is None else self.num_edges

    def topology_range(self, name: str) -> range:
        """Return 0 for a removed edge and 1 for one that survives."""
        return range(2) if name in self.topology_names else super().topology_range(name)

    def _fan_in(self) -> float:
        if self.num_edges is not None:
            return _fan_in_of_largest(self.values.numel(), self.num_edges) / self.out_features
        return mean_fan_in(self.mask)

    def _structure_fields(self) -> dict[str, object]:
        if self.num_edges is not None:
            return {"edges": self.num_edges, "learn_mask": True}
        return {"edges": "?" if self.mask.is_meta else self.num_weights}

    @classmethod
    def _nearest(
        cls,
        weight: Tensor,
        *args: Any,
        mask: Tensor | None = None,
        num_edges: int | None = None,
        learn_mask: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if check_flag("learn_mask", learn_mask):
            structure = {"mask": mask, "learn_mask": True, "num_edges": num_edges}
            return structure, {"values": weight}
        if num_edges is None:
            return {"mask": mask}, {"values": weight}
        if mask is not None:
            raise StructuredLayersError(
                f"from_linear takes either mask or num_edges, got a mask and num_edges={num_edges}"
            )
        return {"mask": _largest(weight, num_edges)}, {"values": weight}


def _learned_edges(
    shape: tuple[int, int], mask: Tensor | None, learn_mask: bool, num_edges: int | None
) -> int | None:
    """Return how many edges a learned mask keeps, None for a fixed mask."""
    if not check_flag("learn_mask", learn_mask):
        if num_edges is not None:
            raise StructuredLayersError(
                f"num_edges goes with learn_mask=True, got num_edges={num_edges!r} without it; "
                "give a fixed mask as mask=..."
            )
        return None
    if mask is not None:
        raise StructuredLayersError(
            "learn_mask=True derives the mask from the values, got a mask as well; leave one of "
            "them out, or start from weights with from_linear"
        )
    return _check_num_edges(num_edges, shape[0] * shape[1])


def _fan_in_of_largest(num_values: int, num_edges: int) -> float:
    """Return how many plain uniform draws the ``num_edges`` largest of all draws are worth.

    The squares of n draws of uniform absolute value have the means j(j + 1) / (n + 1)(n + 2) in
    ascending order, against 1/3 for a plain one; this is their sum over the last ones, times 3.
    """
    n, dropped = num_values, num_values - num_edges
    return n - dropped * (dropped + 1) * (dropped + 2) / ((n + 1) * (n + 2))


def _check_num_edges(num_edges: int | None, num_values: int) -> int:
    is_integer = isinstance(num_edges, int) and not isinstance(num_edges, bool)
    if num_edges is None or not is_integer or num_edges not in range(1, num_values + 1):
        raise StructuredLayersError(
            f"num_edges must be between 1 and {num_values} (= in_features × out_features), "
            f"got {num_edges!r}"
        )
    return num_edges


def _largest(weight: Tensor, num_edges: int) -> Tensor:
    """Return the mask of the entries of largest absolute value, the first ones in a tie."""
    num_edges = _check_num_edges(num_edges, weight.numel())
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
    if not mask.is_meta and not bool(mask.any()):
        raise StructuredLayersError(
            "mask must keep at least one edge, got one that is False everywhere; only a search "
            "empties a layer, by writing to its buffer"
        )
    return mask
