"""Matrices with constant diagonals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear
from .dispatch import LARGE_ENOUGH, Work, fft_is_faster, fft_is_possible, transform_points
from .fft_products import toeplitz_length, toeplitz_product
from .nearest import group_means
from .windows import windows


def toeplitz(values: Tensor, out_features: int, in_features: int) -> Tensor:
    """Return the Toeplitz matrix ``W[i, j] = t[i - j]``.

    Args:
        values: (*batch, out + in - 1), the diagonals from the upper right corner to the lower left
            one, so that ``t[i - j]`` is ``values[..., i - j + in - 1]``.
        out_features: number of rows.
        in_features: number of columns.

    Returns:
        (*batch, out, in).

    Examples:
        >>> toeplitz(torch.tensor([1.0, 2.0, 3.0, 4.0]), 2, 3)
        tensor([[3., 2., 1.],
                [4., 3., 2.]])
    """
    size = out_features + in_features - 1
    if values.shape[-1] != size:
        raise StructuredLayersError(
            f"a Toeplitz matrix of {out_features} × {in_features} has {size} diagonals, "
            f"got values of shape {tuple(values.shape)}"
        )
    return (
        windows(values, out_features, in_features).flip(-1).contiguous()
    )  # a wide one comes out by columns


@final
class ToeplitzLinear(StructuredLinear):
    r"""Linear layer whose weight matrix has constant diagonals.

    .. math:: W_{ij} = t_{i-j}

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
        values: ``(out_features + in_features - 1,)``, the diagonals from the upper right corner to
            the lower left one.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear)`` takes the mean of every diagonal, the nearest Toeplitz matrix in the
    Frobenius norm.

    Examples:
        >>> layer = ToeplitzLinear(17, 41)
        >>> layer.num_weights
        57
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
        num_values = self.out_features + self.in_features - 1
        self.values = nn.Parameter(torch.empty(num_values, device=device, dtype=dtype))
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, out + in - 1)``."""
        return toeplitz(parameters["values"], self.out_features, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, in_features)`` to ``(*, out_features)``, by FFT where that is faster."""
        entries = self.out_features * self.in_features
        if entries >= LARGE_ENOUGH and fft_is_possible(input, self.values, self.in_features):
            length = toeplitz_length(self.out_features, self.in_features)
            work = Work(entries, transform_points(input, length))
            if fft_is_faster(input, self.values, work):
                return self._add_bias(toeplitz_product(self.values, input, self.out_features))
        return super().forward(input)

    @classmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, **structure: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return structure, {"values": group_means(weight, _diagonals(weight), sum(weight.shape) - 1)}


def _diagonals(weight: Tensor) -> Tensor:
    """Return for every entry (i, j) of a matrix the position of its diagonal in ``values``."""
    out_features, in_features = weight.shape
    positions = torch.arange(out_features + in_features - 1, device=weight.device)
    return toeplitz(positions, out_features, in_features)
