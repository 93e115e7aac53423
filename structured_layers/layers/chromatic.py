"""Layers whose edges share the weights of a palette."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear, mean_fan_in
from .nearest import fit_scale, group_means, kmeans, nearest_index
from .palette import Palette


def chromatic(values: Tensor, colors: Tensor) -> Tensor:
    """Return the matrix ``W[i, j] = values[colors[i, j]]``, with 0 where the colour is -1.

    Args:
        values: (*batch, num_colors).
        colors: (*batch, out, in) int64, or (out, in) for the whole batch.

    Returns:
        (*batch, out, in).

    Examples:
        >>> chromatic(torch.tensor([0.5, 2.0]), torch.tensor([[0, 1], [-1, 0]]))
        tensor([[0.5000, 2.0000],
                [0.0000, 0.5000]])
    """
    padded = F.pad(values, (0, 1))  # (*batch, num_colors + 1): colour -1 picks the last entry, 0
    if values.ndim == 1:
        return padded[colors]
    index = torch.where(colors < 0, values.shape[-1], colors).flatten(-2)  # gathers refuse -1
    if index.ndim == 1:
        entries = padded.index_select(-1, index)  # (*batch, out * in)
    else:
        entries = padded.gather(-1, index.expand(*padded.shape[:-1], -1))
    return entries.reshape(*entries.shape[:-1], *colors.shape[-2:])


def random_colors(num_colors: int, out_features: int, in_features: int) -> Tensor:
    """Draw a balanced colouring, in which the uses of any two colours differ by at most one.

    Args:
        num_colors: the number of colours.
        out_features: number of rows.
        in_features: number of columns.

    Returns:
        (out, in) int64 on the CPU, from torch's global generator.
    """
    num_edges = out_features * in_features
    edges = torch.randperm(num_edges, device="cpu")
    # The colours that are used once more than the others are random as well.
    return torch.randperm(num_colors, device="cpu")[edges % num_colors].view(out_features, -1)


@final
class ChromaticLinear(StructuredLinear):
    r"""Linear layer whose edges carry colours; edges of one colour share one weight.

    .. math:: W_{ij} = s \cdot p_{\Phi(i, j)}

    with the palette p, the colouring Φ, and a scale s that is 1 unless it is asked for.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        palette: the palette of the network, or the number of colours of a private one.
        colors: (out, in) integers, -1 for a removed edge; random and balanced by default.
        scale: the start of a trained scalar that multiplies the weight, so that layers of different
            gain can share a palette; None for none.
        device: where the parameters live; a given palette's own device by default.
        dtype: the floating-point type; a given palette's own type by default.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(num_colors,)``, the palette's parameter.
        colors: ``(out_features, in_features)`` int64 buffer.
        palette: the :class:`Palette`.
        scale: a scalar parameter, or None.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear, palette=17)`` (or ``num_colors=17``) clusters the weights by k-means into
    a private palette; ``colors=`` fixes the colouring and takes each colour's mean. A shared
    :class:`Palette` stays as it is: colours and a scale are fitted to it.

    Raises:
        StructuredLayersError: if the palette, the colours or the scale cannot serve the layer.

    Examples:
        >>> layer = ChromaticLinear(17, 41, palette=Palette(17))
        >>> layer
        ChromaticLinear(17 → 41, colors=17, bias=True)
        >>> layer(torch.randn(2, 17)).shape
        torch.Size([2, 41])

    Reference:
        Song et al., Reinforcement Learning with Chromatic Networks, 2019.
    """

    topology_names: ClassVar[tuple[str, ...]] = ("colors",)
    colors: Tensor
    scale: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        palette: Palette | int,
        colors: Tensor | None = None,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Join the palette and colour the edges."""
        if isinstance(palette, Palette):
            device, dtype = _placement(palette, device, dtype)
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        shape = (self.out_features, self.in_features)
        if not isinstance(palette, Palette):
            palette = Palette(_check_num_colors(palette, shape), device=device, dtype=dtype)
        if colors is None:
            colors = random_colors(palette.num_colors, *shape)
        else:
            colors = _check_colors(colors, palette.num_colors, shape)
        self.palette = palette
        self.values = palette.values
        self.register_buffer("colors", colors.to(palette.values.device, torch.int64, copy=True))
        self.register_parameter("scale", None)
        if scale is not None:
            self.scale = nn.Parameter(torch.full_like(palette.values[0], _check_scale(scale)))
        palette.join(self._fan_in())
        self._reset_bias()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, num_colors)``."""
        weight = chromatic(parameters["values"], buffers["colors"])
        scale = parameters.get("scale")
        return weight if scale is None else scale[..., None, None] * weight

    @property
    def num_weights(self) -> int:
        """The size of the palette, and one for a scale."""
        return self.values.numel() + (self.scale is not None)

    def topology_range(self, name: str) -> range:
        """Return the colours, from -1 (a removed edge) on."""
        return range(-1, self.values.numel()) if name == "colors" else super().topology_range(name)

    def reset_parameters(self) -> None:
        """Draw the palette anew for the mean fan-in of its layers, and the layer's own bias.

        A scale becomes the one that gives this layer ``nn.Linear``'s output variance.
        """
        self.palette.draw_(self.values)
        self._reset_bias()
        if self.scale is not None:
            nn.init.constant_(self.scale, math.sqrt(self.palette.mean_fan_in / self._fan_in()))

    def _fan_in(self) -> float:
        return mean_fan_in(self.colors >= 0)

    def _structure_fields(self) -> dict[str, object]:
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
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        palette = _one_palette(palette, num_colors, colors)
        shape = (weight.shape[0], weight.shape[1])
        if isinstance(palette, Palette):
            if colors is not None:
                colors = _check_colors(colors, palette.num_colors, shape).cpu()
            values = palette.values.detach().to("cpu", torch.float64)
            colors, scale = fit_scale(weight, values, colors)
            palette.keep()
            return {"palette": palette, "colors": colors, "scale": float(scale)}, {}
        palette = _check_num_colors(palette, shape)
        if colors is None:
            colors = nearest_index(weight, kmeans(weight, palette))
        colors = _check_colors(colors, palette, shape).cpu()
        values = group_means(weight, colors, palette)
        return {"palette": palette, "colors": colors}, {"values": values}


def _one_palette(
    palette: Palette | int | None, num_colors: int | None, colors: Tensor | None
) -> Palette | int:
    given = [choice for choice in (palette, num_colors) if choice is not None]
    if len(given) == 1:
        return given[0]
    if not given and isinstance(colors, Tensor) and colors.numel():
        return max(1, int(colors.max()) + 1)
    raise StructuredLayersError(
        "from_linear needs either palette (a Palette or a number of colours) or num_colors, "
        f"got palette={palette!r} and num_colors={num_colors!r}"
    )


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


def _check_num_colors(num_colors: int, shape: tuple[int, int]) -> int:
    if isinstance(num_colors, bool) or not isinstance(num_colors, int):
        raise StructuredLayersError(
            f"palette must be a Palette or an integer number of colours, got {num_colors!r}"
        )
    if not 1 <= num_colors <= math.prod(shape):
        raise StructuredLayersError(
            f"num_colors must be between 1 and {math.prod(shape)} (= in_features × out_features), "
            f"got {num_colors}; use nn.Linear for an unshared layer"
        )
    return num_colors


def _check_colors(colors: Tensor, num_colors: int, shape: tuple[int, int]) -> Tensor:
    if not isinstance(colors, Tensor):
        raise StructuredLayersError(
            f"colors must be an integer tensor of shape {shape}, got a {type(colors).__name__}"
        )
    if colors.shape != shape or colors.is_floating_point() or colors.dtype == torch.bool:
        raise StructuredLayersError(
            f"colors must be an integer tensor of shape {shape} (= out_features, in_features), "
            f"got {colors.dtype} of shape {tuple(colors.shape)}"
        )
    low, high = (-1, 0) if colors.is_meta else (int(colors.min()), int(colors.max()))
    if low < -1 or high >= num_colors:
        raise StructuredLayersError(
            f"colors must lie between -1 (a removed edge) and {num_colors - 1}, got {low} to {high}"
        )
    return colors


def _check_scale(scale: float) -> float:
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale):
        raise StructuredLayersError(f"scale must be a finite number or None, got {scale!r}")
    return float(scale)
