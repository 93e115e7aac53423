"""Layers whose edges share the weights of a palette."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear, check_flag, mean_fan_in
from .chromatic_fit import fit_chromatic
from .coloring import check_colors, check_num_colors, chromatic
from .kept_weight import KeptWeight, may_be_kept
from .palette import Palette
from .seeded_colors import draw_seed, seeded_colors
from .straight_through import (
    learned_chromatic,
    nearest_colors,
    palette_units,
    quantile_palette,
    root_mean_square,
)


@final
class ChromaticLinear(StructuredLinear):
    r"""Linear layer whose edges carry colours; edges of one colour share one weight.

    .. math:: W_{ij} = s \cdot p_{\Phi(i, j)}

    with the palette p, the colouring Φ, and a scale s that is 1 unless it is asked for.

    The colouring is fixed, or a search moves it, unless ``learn_colors`` is set. Then the layer
    keeps a dense ``shadow`` V, every edge shows the colour that is nearest to its entry of
    √in_features · V, and the gradient of the weight goes straight through to the shadow, so that
    any ``torch.optim`` optimizer learns colours, palette and scale together. A palette that such a
    layer is the first to join starts at quantiles of the shadow with a root mean square of 1.
    :meth:`harden` ends the learning.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        palette: the palette of the network, or the number of colours of a private one.
        colors: (out, in) integers, -1 for a removed edge; random and balanced by default.
        scale: the start of a trained scalar that multiplies the weight, so that layers of different
            gain can share a palette; None for none, or for the fitting one if colours are learned.
        learn_colors: whether gradients learn the colouring; excludes ``colors``.
        device: where the parameters live; a given palette's own device by default.
        dtype: the floating-point type; a given palette's own type by default.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(num_colors,)``, the palette's parameter.
        colors: ``(out_features, in_features)`` int64. A buffer, and the only discrete structure,
            unless colours are learned: then they follow from the shadow and are no topology.
        palette: the :class:`Palette`.
        scale: a scalar parameter, or None.
        color_seed: what random colours were made of, see
            :func:`~structured_layers.layers.seeded_colors.seeded_colors`; None for other ones.
        shadow: ``(out_features, in_features)``, a parameter while colours are learned, else None.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear, palette=17)`` (or ``num_colors=17``) clusters the weights by k-means into
    a private palette; ``colors=`` fixes the colouring and takes each colour's mean. A shared
    :class:`Palette` stays as it is: colours and a scale are fitted to it. With
    ``learn_colors=True`` learning starts from the given weights.

    Raises:
        StructuredLayersError: if the palette, the colours or the scale cannot serve the layer.

    Examples:
        >>> layer = ChromaticLinear(17, 41, palette=Palette(17))
        >>> layer
        ChromaticLinear(17 → 41, colors=17, bias=True)
        >>> layer(torch.randn(2, 17)).shape
        torch.Size([2, 41])
        >>> learning = ChromaticLinear(17, 41, palette=17, learn_colors=True)
        >>> torch.equal(learning.harden().weight, learning.weight)
        True

    Reference:
        Song et al., Reinforcement Learning with Chromatic Networks, 2019.
    """

    topology_names: tuple[str, ...] = ("colors",)
    scale: nn.Parameter | None
    shadow: nn.Parameter | None
    color_seed: int | None = None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        palette: Palette | int,
        colors: Tensor | None = None,
        scale: float | None = None,
        learn_colors: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Join the palette and colour the edges."""
        if isinstance(palette, Palette):
            device, dtype = _placement(palette, device, dtype)
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        shape = (self.out_features, self.in_features)
        if not isinstance(palette, Palette):
            palette = Palette(check_num_colors(palette, shape), device=device, dtype=dtype)
        self.palette = palette
        self.values = palette.values
        self.register_parameter("scale", None)
        self.register_parameter("shadow", None)
        if scale is not None:
            self.scale = nn.Parameter(torch.full_like(palette.values[0], _check_scale(scale)))
        if check_flag("learn_colors", learn_colors):
            self._start_learning(colors)
        else:
            self._paint(colors)
            palette.join(self._fan_in())
        self._reset_bias()

    def _paint(self, colors: Tensor | None) -> None:
        """Register the given colours, or random ones."""
        shape, num_colors = (self.out_features, self.in_features), self.palette.num_colors
        if colors is None:
            self.color_seed = draw_seed()
            colors = seeded_colors(self.color_seed, num_colors, *shape)
        else:
            colors = check_colors(colors, num_colors, shape)
        self.register_buffer("colors", colors.to(self.values.device, torch.int64, copy=True))

    def _start_learning(self, colors: Tensor | None) -> None:
        """Draw the shadow, and start palette and scale from it where they are free."""
        if colors is not None:
            raise StructuredLayersError(
                "learn_colors=True derives the colours from the shadow, got colors as well; leave "
                "one of them out, or start from weights with from_linear"
            )
        self.topology_names = ()
        self._kept = KeptWeight()
        self.shadow = nn.Parameter(self.values.new_empty(self.out_features, self.in_features))
        is_first, has_scale = self.palette.is_fresh, self.scale is not None
        self.palette.join(self._fan_in())
        if not has_scale:
            self.scale = nn.Parameter(torch.ones_like(self.values[0]))
        self._draw_shadow(self.shadow, new_palette=is_first, new_scale=not has_scale)

    @torch.no_grad()
    def _draw_shadow(self, shadow: nn.Parameter, new_palette: bool, new_scale: bool) -> None:
        """Draw the shadow as spread as the palette; a new scale gives nn.Linear's variance."""
        nn.init.uniform_(shadow, -math.sqrt(3), math.sqrt(3))
        if new_palette:
            self.values.copy_(quantile_palette(shadow, self.values.numel()))
        self.palette.keep()
        size = root_mean_square(self.values)
        shadow.mul_(size / math.sqrt(self.in_features))
        if new_scale and self.scale is not None:
            self.scale.copy_(1 / (math.sqrt(3 * self.in_features) * size))

    @property
    def colors(self) -> Tensor:
        """The colour of each edge, -1 for a removed one, ``(out_features, in_features)`` int64."""
        buffer = self._buffers.get("colors")
        if buffer is not None:
            return buffer
        if self.shadow is None:
            raise AttributeError("colors")  # as hasattr asks before a buffer is registered
        return nearest_colors(palette_units(self.shadow), self.values)

    def harden(self) -> Self:
        """Return the layer with its present colours fixed; a plain layer returns itself.

        The new layer shares the palette, which other layers may use, and copies all else.
        """
        if self.shadow is None:
            return self
        shared = {id(self.palette): self.palette, id(self.values): self.values}
        plain = copy.deepcopy(self, shared)
        # Attributes of the learning layer; the names are those of the class again.
        del plain.topology_names, plain._kept
        plain.shadow = None
        plain.register_buffer("colors", self.colors)
        return plain

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, num_colors)``."""
        values, scale = parameters["values"], parameters.get("scale")
        shadow = parameters.get("shadow")
        if shadow is not None and scale is not None:
            return learned_chromatic(shadow, values, scale)
        weight = chromatic(values, buffers["colors"])
        return weight if scale is None else scale[..., None, None] * weight

    def _weight_in_use(self) -> Tensor:
        parameters = self._parameters
        shadow, values, scale = map(parameters.get, ("shadow", "values", "scale"))
        if shadow is None or values is None or scale is None or not may_be_kept(shadow):
            return super()._weight_in_use()
        return self._kept.show(learned_chromatic, (shadow, values, scale))

    @property
    def num_weights(self) -> int:
        """The size of the palette, and one for a scale; a shadow is not counted."""
        return self.values.numel() + (self.scale is not None)

    def topology_range(self, name: str) -> range:
        """Return the colours, from -1 (a removed edge) on."""
        if name not in self.topology_names:
            return super().topology_range(name)
        return range(-1, self.values.numel())

    def reset_parameters(self) -> None:
        """Draw the palette anew for the mean fan-in of its layers, and the layer's own bias.

        A scale becomes the one that gives this layer ``nn.Linear``'s output variance. Colours stay
        as they are; after ``to_empty`` they have to be loaded or written first. While colours are
        learned, the shadow is drawn and the palette starts at its quantiles.
        """
        self._reset_bias()
        if self.shadow is not None:
            self._draw_shadow(self.shadow, new_palette=True, new_scale=True)
            return
        self.palette.draw_(self.values)
        if self.scale is not None:
            nn.init.constant_(self.scale, math.sqrt(self.palette.mean_fan_in / self._fan_in()))

    def _fan_in(self) -> float:
        if self.shadow is not None:
            return float(self.in_features)
        return mean_fan_in(self.colors >= 0)

    def _structure_fields(self) -> dict[str, object]:
        if self.shadow is not None:
            return {"colors": self.values.numel(), "learn_colors": True}
        scale = {} if self.scale is None else {"scale": True}
        return {"colors": self.values.numel(), **scale}

    @classmethod
    def _nearest(
        cls,
        weight: Tensor,
        *args: Any,
        palette: Palette | int | None = None,
        num_colors: int | None = None,
        colors: Tensor | None = None,
        learn_colors: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return fit_chromatic(weight, palette, num_colors, colors, learn_colors)


def _placement(
    palette: Palette, device: torch.device | str | None, dtype: torch.dtype | None
) -> tuple[torch.device, torch.dtype]:
    values = palette.values
    asked = torch.empty(
        0, device=values.device if device is None else device, dtype=dtype or values.dtype
    )
    if (asked.device, asked.dtype) != (values.device, values.dtype):
        raise StructuredLayersError(
            f"the palette is {values.dtype} on {values.device}, but the layer is asked to be "
            f"{asked.dtype} on {asked.device}; build the palette with the layer's device and dtype"
        )
    return values.device, values.dtype


def _check_scale(scale: float) -> float:
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale):
        raise StructuredLayersError(f"scale must be a finite number or None, got {scale!r}")
    return float(scale)
