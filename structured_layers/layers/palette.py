"""The pool of weights that chromatic layers share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from .base import StructuredLinear, check_dtype, check_size

Network = TypeVar("Network", bound=nn.Module)


class Palette:
    """A pool of ``num_colors`` weights for all chromatic layers of a network.

    A palette is not a module: each layer that is built with it registers the one parameter
    ``values`` as its own, and PyTorch counts, saves and trains it once.

    The values are drawn at creation. While nobody has changed them they are rescaled as layers
    join, to the mean fan-in of these layers; once they are trained or loaded, one more layer leaves
    them as they are.

    Args:
        num_colors: how many weights there are.
        device: where the values live.
        dtype: the floating-point type of the values.

    Attributes:
        values: ``(num_colors,)``, the shared parameter.

    Raises:
        StructuredLayersError: if ``num_colors`` is not an integer of at least 1.

    Examples:
        >>> from structured_layers import ChromaticLinear
        >>> palette = Palette(17)
        >>> hidden = ChromaticLinear(17, 41, palette=palette)
        >>> output = ChromaticLinear(41, 6, palette=palette)
        >>> hidden.values is output.values is palette.values
        True

    Reference:
        Song et al., Reinforcement Learning with Chromatic Networks, 2019.
    """

    def __init__(
        self,
        num_colors: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Allocate and draw the values."""
        size = check_size("num_colors", num_colors)
        check_dtype(dtype)
        self.values = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
        self._fan_ins: list[float] = []
        self._unit_draw: Tensor | None = None
        self.draw_(self.values)

    @property
    def num_colors(self) -> int:
        """The number of shared weights."""
        return self.values.numel()

    @property
    def mean_fan_in(self) -> float:
        """The mean fan-in of the layers that were built with the palette, 1 without any."""
        return sum(self._fan_ins) / len(self._fan_ins) if self._fan_ins else 1.0

    @property
    def is_fresh(self) -> bool:
        """Whether no layer has joined yet and the values are as they were drawn."""
        return not self._fan_ins and self._is_untouched()

    @torch.no_grad()
    def join(self, fan_in: float) -> None:
        """Count one more layer, and rescale the values to it if they are as they were drawn."""
        untouched = self._unit_draw if self._is_untouched() else None
        self._fan_ins.append(fan_in)
        if untouched is not None:
            self.values.copy_(self._scaled(untouched))

    @torch.no_grad()
    def draw_(self, values: Tensor) -> None:
        """Draw ``values`` anew for the layers of the palette, from torch's global generator."""
        self._unit_draw = torch.empty_like(values).uniform_(-1, 1)
        values.copy_(self._scaled(self._unit_draw))

    def keep(self) -> None:
        """Never rescale the present values, because something was fitted to them."""
        self._unit_draw = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the present values while layers join; after an error it is as if none had."""
        unit_draw, fan_ins = self._unit_draw, list(self._fan_ins)
        self.keep()
        try:
            yield
        except BaseException:
            self._unit_draw, self._fan_ins = unit_draw, fan_ins
            raise

    def _scaled(self, unit_draw: Tensor) -> Tensor:
        return unit_draw / math.sqrt(self.mean_fan_in)

    def _is_untouched(self) -> bool:
        # A comparison of values, because `.data` and vector_to_parameters write without leaving a
        # trace in the version counter.
        if self._unit_draw is None or self._unit_draw.is_meta or self.values.is_meta:
            return False
        return torch.equal(self._scaled(self._unit_draw).to(self.values), self.values)

    def __repr__(self) -> str:
        """Return the class and the number of colours."""
        return f"{type(self).__name__}({self.num_colors})"


def tie_palettes_(network: Network) -> Network:
    """Make the layers of one palette share one parameter again, in place.

    ``load_state_dict(assign=True)`` and ``to_empty`` give every layer a parameter of its own. The
    first one that is not the palette's any more becomes the parameter of the palette and of all its
    layers in ``network``.

    Args:
        network: the network whose layers are tied.

    Returns:
        The same network.

    Examples:
        >>> from structured_layers import ChromaticLinear
        >>> palette = Palette(3)
        >>> network = nn.Sequential(*(ChromaticLinear(4, 4, palette=palette) for _ in range(2)))
        >>> _ = network.load_state_dict(network.state_dict(), assign=True)
        >>> network[0].values is network[1].values
        False
        >>> tie_palettes_(network)[0].values is network[1].values
        True
    """
    for palette, layers in _layers_by_palette(network):
        replaced = [layer.values for layer in layers if layer.values is not palette.values]
        palette.values = replaced[0] if replaced else palette.values
        for layer in layers:
            layer.values = palette.values
    return network


def _layers_by_palette(network: nn.Module) -> list[tuple[Palette, list[StructuredLinear]]]:
    groups: dict[int, tuple[Palette, list[StructuredLinear]]] = {}
    for layer in network.modules():
        palette = getattr(layer, "palette", None)
        if isinstance(layer, StructuredLinear) and isinstance(palette, Palette):
            groups.setdefault(id(palette), (palette, []))[1].append(layer)
    return list(groups.values())
