"""Circulant matrices, cut to a rectangle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from .base import StructuredLinear
from .dispatch import LARGE_ENOUGH, Work, fft_is_faster, fft_is_possible, transform_points
from .fft_products import circulant_length, circulant_product
from .nearest import group_means
from .windows import windows


def circulant(values: Tensor, out_features: int, in_features: int) -> Tensor:
    """Return the cut circulant matrix ``W[i, j] = c[(i - j) mod k]``, ``k = max(out, in)``.

    Args:
        values: (*batch, k), the first column of the uncut circulant.
        out_features: number of rows.
        in_features: number of columns.

    Returns:
        (*batch, out, in).

    Examples:
        >>> circulant(torch.tensor([1.0, 2.0, 3.0]), 2, 3)
        tensor([[1., 3., 2.],
                [2., 1., 3.]])
    """
    twice = torch.cat((values, values), dim=-1)  # c[(i - j) mod k] stands at k + i - j
    start = values.shape[-1] - in_features + 1
    return (
        windows(twice, out_features, in_features, start).flip(-1).contiguous()
    )  # a wide one comes out by columns


@final
class CirculantLinear(StructuredLinear):
    r"""Linear layer whose weight matrix is a circulant, cut to ``out_features × in_features``.

    .. math:: W_{ij} = c_{(i-j) \bmod k}, \qquad k = \max(\text{out}, \text{in})

    Large layers multiply by fast Fourier transforms, see :mod:`structured_layers.layers.dispatch`.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(max(out_features, in_features),)``, the first column of the uncut circulant.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear)`` takes the mean of every wrapped diagonal, the nearest cut circulant in
    the Frobenius norm.

    Examples:
        >>> layer = CirculantLinear(17, 41)
        >>> layer.num_weights
        41
        >>> layer(torch.randn(2, 17)).shape
        torch.Size([2, 41])

    Reference:
        Choromanski et al., Structured Evolution with Compact Architectures for Scalable Policy
        Optimization, ICML 2018.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Allocate and draw the values."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        num_values = max(self.out_features, self.in_features)
        self.values = nn.Parameter(torch.empty(num_values, device=device, dtype=dtype))
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, max(out, in))``."""
        return circulant(parameters["values"], self.out_features, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, in_features)`` to ``(*, out_features)``, by FFT where that is faster."""
        entries = self.out_features * self.in_features
        if entries >= LARGE_ENOUGH and fft_is_possible(input, self.values, self.in_features):
            length = circulant_length(self.out_features, self.in_features)
            work = Work(entries, transform_points(input, length))
            if fft_is_faster(input, self.values, work):
                return self._add_bias(circulant_product(self.values, input, self.out_features))
        return super().forward(input)

    @classmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, **structure: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        num_values = max(weight.shape)
        positions = torch.arange(num_values, device=weight.device)
        wrapped_diagonals = circulant(positions, *weight.shape)
        return structure, {"values": group_means(weight, wrapped_diagonals, num_values)}
