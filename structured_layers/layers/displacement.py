"""Layers of low displacement rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import StructuredLinear, as_integer
from .dispatch import Work, fft_is_faster, fft_is_possible, transform_points
from .displacement_families import (
    FAMILIES,
    FFT_FAMILIES,
    chebyshev_nodes,
    interlaced_nodes,
    low_displacement_rank,
    low_displacement_rank_product,
    vandermonde_like,
)
from .displacement_fit import fit_generators
from .fft_products import toeplitz_like_lengths

# The dense weight in units of building a Toeplitz matrix of its size, the FFT in units of the calls
# of a Toeplitz product. One set for both modes, chosen by hand: at ranks 1 to 5 the building
# lies between what benchmarks/fft_crossover.py fits for training and for evaluation.
BUILD = 8.0
BUILD_PER_RANK = 3.0
CALLS = 0.6


@final
class LowDisplacementRankLinear(StructuredLinear):
    r"""Linear layer whose weight matrix has a displacement of low rank.

    .. math:: A W - W B = G^\top H, \qquad
        G \in \mathbb{R}^{r \times \text{out}}, \; H \in \mathbb{R}^{r \times \text{in}}

    with fixed sparse A and B that follow from the sizes and make the family:

    - ``toeplitz``: A = Z_1, B = Z_0, the shifts down with and without wrap. Rank 2 holds every
      Toeplitz matrix and every inverse of one.
    - ``hankel``: B = Z_0 transposed, the same with columns reversed.
    - ``toeplitz_hankel``: the sum of one of each, so twice the weights.
    - ``vandermonde``: A = diag(v), B = Z_0, v Chebyshev nodes. G times v^in and H reversed are the
      generators of the displacement.
    - ``cauchy``: A = diag(s), B = diag(t), s and t interlaced.

    Any matrix is reached at full rank. Large layers of the first three families multiply by fast
    Fourier transforms, see :mod:`structured_layers.layers.dispatch`.

    Args:
        in_features: size of each input sample.
        out_features: size of each output sample.
        bias: whether the layer adds a trained bias.
        rank: the rank r of the displacement, of each summand for ``toeplitz_hankel``.
        family: ``toeplitz``, ``hankel``, ``toeplitz_hankel``, ``vandermonde`` or ``cauchy``.
        device: where the parameters live.
        dtype: the floating-point type of the parameters.

    Shape:
        - Input: ``(*, in_features)``.
        - Output: ``(*, out_features)``.

    Attributes:
        values: ``(rank, out_features + in_features)``, the columns of G and H side by side;
            ``toeplitz_hankel`` has ``2 * rank`` rows, the Toeplitz-like summand first.
        bias: ``(out_features,)``, or None.

    ``from_linear(linear, rank=..., family=...)`` fits the generators by alternating least squares.
    The result is a local optimum: closer than the zero matrix, but not always the nearest. Both
    generators of a pair get the same norm. From a weight of zeros H becomes zero and G is drawn, so
    that the layer can learn.

    Raises:
        StructuredLayersError: if the rank is not between 1 and the smaller size, if the family is
            unknown, or if ``from_linear`` finds nothing closer than the zero matrix.

    Examples:
        >>> layer = LowDisplacementRankLinear(17, 41, rank=2)
        >>> layer
        LowDisplacementRankLinear(17 → 41, rank=2, family=toeplitz, bias=True)
        >>> layer.num_weights
        116

    Reference:
        Sindhwani et al., Structured Transforms for Small-Footprint Deep Learning, 2015.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rank: int = 1,
        family: str = "toeplitz",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Check rank and family, allocate and draw the generators."""
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        sizes = self.out_features, self.in_features
        self.family = _check_family(family)
        self.rank = _check_rank(rank, sizes)
        num_rows = 2 * self.rank if family == "toeplitz_hankel" else self.rank
        shape = (num_rows, sum(sizes))
        self.values = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def weight_from(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the dense weight ``(*batch, out, in)`` for values ``(*batch, rank, out + in)``."""
        return low_displacement_rank(parameters["values"], self.out_features, self.family)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, in_features)`` to ``(*, out_features)``, by FFT where that is faster."""
        if not self._is_fft_faster(input):
            return super().forward(input)
        product = low_displacement_rank_product(self.values, input, self.out_features, self.family)
        return self._add_bias(product)

    def _is_fft_faster(self, input: Tensor) -> bool:
        possible = self.family in FFT_FAMILIES and fft_is_possible(
            input, self.values, self.in_features
        )
        return possible and fft_is_faster(input, self.values, self._work(input))

    def _work(self, input: Tensor) -> Work:
        num_rows = self.values.shape[0]
        summands = num_rows // self.rank
        lengths = toeplitz_like_lengths(self.out_features, self.in_features)
        points = summands * sum(transform_points(input, length, self.rank) for length in lengths)
        build = summands * BUILD + num_rows * BUILD_PER_RANK
        return Work(self.out_features * self.in_features, points, build, calls=summands * CALLS)

    def reset_parameters(self) -> None:
        """Draw generators and bias anew, with the output variance of ``nn.Linear``'s default."""
        # Entries of G and H of variance s give a weight whose squares sum, in the mean, to s² times
        # the same sum for generators of variance 1; nn.Linear's default makes it out / 3.
        variance = math.sqrt(self.out_features / (3 * self._unit_square_sum()))
        bound = math.sqrt(3 * variance)
        nn.init.uniform_(self.values, -bound, bound)
        self._reset_bias()

    def _unit_square_sum(self) -> float:
        m, n = self.out_features, self.in_features
        num_rows = self.values.shape[0]
        if self.family == "vandermonde":
            ones = torch.ones(1, m + n, dtype=torch.float64, device="cpu")
            nodes = chebyshev_nodes(m).square()
            return num_rows * float(vandermonde_like(ones[:, :m], ones[:, m:], nodes).sum())
        if self.family == "cauchy":
            rows, columns = interlaced_nodes(m, n)
            return num_rows * float((rows[:, None] - columns).double().pow(-2).sum())
        return num_rows * m * n * (n + 1) / 2

    def _structure_fields(self) -> dict[str, object]:
        return {"rank": self.rank, "family": self.family}

    @classmethod
    def _nearest(
        cls, weight: Tensor, *args: Any, rank: int = 1, family: str = "toeplitz"
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        sizes = (weight.shape[0], weight.shape[1])
        rank, family = _check_rank(rank, sizes), _check_family(family)
        structure = {"rank": rank, "family": family}
        if bool(weight.any()):
            return structure, {"values": fit_generators(weight, rank, family)}
        # Where both generators are zero, so is every gradient.
        out_features, in_features = sizes
        placement: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        drawn = cls(in_features, out_features, rank=rank, family=family, **placement)
        values = drawn.values.detach()
        values[:, out_features:] = 0
        return structure, {"values": values}


def _check_family(family: str) -> str:
    if family not in FAMILIES:
        raise StructuredLayersError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    return family


def _check_rank(rank: int, sizes: tuple[int, int]) -> int:
    size = as_integer(rank)
    if size is None or size not in range(1, min(sizes) + 1):
        raise StructuredLayersError(
            f"rank must be an integer between 1 and {min(sizes)} (= the smaller of in_features and "
            f"out_features), got {rank!r}; use nn.Linear for a layer of full rank and more"
        )
    return size
