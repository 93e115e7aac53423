"""Layers whose edges pass through gates that are trained along with the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear
from .masked import MaskedLinear

# How many temperatures the first logits lie from zero: gates of at least 0.88 or at most 0.12, so
# nearly binary, and still with enough slope to be trained.
NEAREST_START, FARTHEST_START = 2.0, 6.0
# Gates below exp(-50) make no difference, and denormal numbers would slow down products.
SMALLEST_EXPONENT = -50.0


def soft_mask(logits: Tensor, temperature: float) -> Tensor:
    """Return the gates ``sigmoid(logits / temperature)``, between 0 and 1.

    Args:
        logits: of any shape.
        temperature: small ones make the gates nearly binary.

    Examples:
        >>> soft_mask(torch.tensor([-0.01, 0.0, 0.01]), 0.01)
        tensor([0.2689, 0.5000, 0.7311])
    """
    # By exp: its bits do not depend on the place in a tensor, those of torch.sigmoid do. The
    # exponent is never positive, so nothing overflows. Types of 16 bits round once, at the end.
    x = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    is_closed = x < 0
    power = torch.exp(torch.where(is_closed, x, -x).clamp(min=SMALLEST_EXPONENT))
    return (torch.where(is_closed, power, 1.0) / (1 + power)).to(logits.dtype)


def soft_masked(values: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Return ``values`` times their gates.

    Args:
        values: (*batch, out, in).
        logits: (*batch, out, in).
        temperature: see :func:`soft_mask`.

    Returns:
        (*batch, out, in).
    """
    return values * soft_mask(logits, temperature)


@final
class SoftMaskedLinear(StructuredLinear):
    r"""Linear layer that learns which of its edges survive, by gates between 0 and 1.

    .. math:: W_{ij} = V_{ij} \cdot \sigma(S_{ij} / \alpha)

    Values V and logits S are both trained, by gradients or by evolution. At a small temperature α
    nearly all gates are open or closed; an edge counts as surviving while its gate is more than
    half open. :meth:`harden` keeps those edges.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        temperature: α, positive.
        initial_density: the share of edges that survive at the start, between 0 and 1 without the
            ends; at least one edge does.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(out_features, in_features)``.
        logits: ``(out_features, in_features)``.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear)`` opens the gates of the largest absolute weights.

    Raises:
        StructuredLayersError: if the temperature or the density is out of range.

    Examples:
        >>> layer = SoftMaskedLinear(17, 40, initial_density=0.25)
        >>> layer
        SoftMaskedLinear(17 → 40, edges=170, temperature=0.01, bias=True)
        >>> layer.harden()
        MaskedLinear(17 → 40, edges=170, bias=True)

    Reference:
        Lenc et al., Non-differentiable Supervised Learning with Evolution Strategies and Hybrid
        Methods, 2019 (arXiv 1906.03139).
    """

    logits: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        temperature: float = 0.01,
        initial_density: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Allocate and draw values and logits."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        shape = (self.out_features, self.in_features)
        self.values = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.temperature = _check_temperature(temperature, self.values.dtype)
        self.initial_density = _check_density(initial_density)
        self.logits = nn.Parameter(torch.empty_like(self.values))
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values and logits of that shape."""
        return soft_masked(parameters["values"], parameters["logits"], self.temperature)

    @property
    def mask(self) -> Tensor:
        """The edges that survive, ``(out_features, in_features)`` bool."""
        return self.logits.detach() > 0

    @property
    def num_weights(self) -> int:
        """The number of edges that survive; twice as many values as edges are trained."""
        return int(self.mask.sum())

    @torch.no_grad()
    def harden(self) -> MaskedLinear:
        """Return the layer of the surviving edges and their values; nothing is shared.

        A gate that is not fully open goes into the value. A network that has emptied the layer gets
        one without edges.
        """
        # Through the meta device, so that no random numbers are drawn.
        layer = MaskedLinear(
            self.in_features,
            self.out_features,
            self.bias is not None,
            device="meta",
            dtype=self.values.dtype,
        ).to_empty(device=self.values.device)
        layer.mask.copy_(self.mask)
        layer.values.copy_(self.weight)
        if layer.bias is not None and self.bias is not None:
            layer.bias.copy_(self.bias)
        return layer.train(self.training)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw logits of the initial density and values, with ``nn.Linear``'s output variance."""
        num_edges = self.logits.numel()
        num_open = max(1, round(self.initial_density * num_edges))
        order = torch.randperm(num_edges, device="cpu").to(self.logits.device)
        side = torch.where(order < num_open, self.temperature, -self.temperature)
        nn.init.uniform_(self.logits, NEAREST_START, FARTHEST_START)
        self.logits.mul_(side.view_as(self.logits))
        super().reset_parameters()

    def _fan_in(self) -> float:
        if self.logits.is_meta:
            return float(self.in_features)
        gates = soft_mask(self.logits.detach(), self.temperature)
        return float(gates.square().sum()) / self.out_features

    def _structure_fields(self) -> dict[str, object]:
        edges = "?" if self.logits.is_meta else self.num_weights
        return {"edges": edges, "temperature": self.temperature}

    @classmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, **structure: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        temperature = _check_temperature(structure.get("temperature", 0.01), weight.dtype)
        density = _check_density(structure.get("initial_density", 0.5))
        order = weight.abs().flatten().argsort(descending=True, stable=True)
        is_open = torch.zeros_like(order, dtype=torch.bool)
        is_open[order[: max(1, round(density * len(order)))]] = True
        start = weight.new_tensor(temperature * FARTHEST_START)
        logits = torch.where(is_open, start, -start).view_as(weight)
        return structure, {
            "values": weight / soft_mask(logits.abs(), temperature),
            "logits": logits,
        }


def _check_temperature(temperature: float, dtype: torch.dtype) -> float:
    is_number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < math.inf:
        raise StructuredLayersError(
            f"temperature must be a positive number, got {temperature!r}; 0.01 makes nearly binary "
            "gates"
        )
    # The first logits lie up to FARTHEST_START temperatures from zero, and must not round to it.
    smallest, largest = torch.finfo(dtype).tiny, torch.finfo(dtype).max / FARTHEST_START
    if not smallest <= temperature <= largest:
        raise StructuredLayersError(
            f"temperature must lie between {smallest:.3g} and {largest:.3g} for logits of "
            f"{dtype}, got {temperature!r}; 0.01 makes nearly binary gates"
        )
    return float(temperature)


def _check_density(density: float) -> float:
    if isinstance(density, bool) or not isinstance(density, (int, float)) or not 0 < density < 1:
        raise StructuredLayersError(
            f"initial_density must lie between 0 and 1 without the ends, got {density!r}; use "
            "MaskedLinear for a layer that starts with all edges"
        )
    return float(density)
