"""How far a weight matrix is from the structures that displacement operators describe."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import StructuredLayersError

OPERATORS = ("toeplitz", "toeplitz_hankel")
Operators = str | tuple[Tensor, Tensor]


def displacement_rank(
    weight: Tensor,
    operators: Operators = "toeplitz",
    *,
    threshold: float = 0.1,
    tolerance: float | None = None,
) -> int:
    r"""Return the rank of A·W − W·B, with its small entries taken for zero.

    The named operators are the band matrices of the papers' analysis, for each side in its own
    size: ``toeplitz`` has A = B = Z₀, the shift down by one, and ``toeplitz_hankel`` has
    A = B = Z₀ + Z₀ᵀ. A Toeplitz matrix has at most rank 2 with the former, the sum of a Toeplitz
    and a Hankel matrix at most rank 4 with the latter.

    Args:
        weight: (out, in).
        operators: ``toeplitz``, ``toeplitz_hankel``, or a pair (A, B) of square matrices of sizes
            ``out`` and ``in``.
        threshold: entries of A·W − W·B of a smaller absolute value become 0, as in the papers; 0
            keeps all.
        tolerance: singular values up to this one count as zero; by default the largest one times
            the rounding error of the weight's own type and the larger size.

    Raises:
        StructuredLayersError: for anything that is no finite matrix, unknown operators, or negative
            thresholds.

    Examples:
        >>> from structured_layers import ToeplitzLinear
        >>> displacement_rank(ToeplitzLinear(17, 41).weight, threshold=0)
        2

    Reference:
        Song et al., Reinforcement Learning with Chromatic Networks, 2019, for operators and
        rounding; Kailath, Kung & Morf, Displacement Ranks of Matrices, 1979.
    """
    weight, precision = _checked_matrix("weight", weight), _precision(weight)
    _check_not_negative("threshold", threshold)
    left, right = _operators(operators, weight.shape[0], weight.shape[1])
    displaced = left @ weight - weight @ right
    displaced = torch.where(displaced.abs() < threshold, 0.0, displaced)
    if tolerance is None:
        return int(torch.linalg.matrix_rank(displaced, rtol=precision * max(weight.shape)))
    _check_not_negative("tolerance", tolerance)
    return int(torch.linalg.matrix_rank(displaced, atol=tolerance, rtol=0.0))


def _operators(operators: Operators, out_features: int, in_features: int) -> tuple[Tensor, Tensor]:
    if isinstance(operators, tuple) and len(operators) == 2:
        left = _checked_matrix("A", operators[0], out_features)
        return left, _checked_matrix("B", operators[1], in_features)
    if operators not in OPERATORS:
        raise StructuredLayersError(
            f"operators must be one of {', '.join(OPERATORS)} or a pair of matrices, "
            f"got {operators!r}"
        )
    bands = [_shift(out_features), _shift(in_features)]
    if operators == "toeplitz_hankel":
        bands = [band + band.T for band in bands]
    return bands[0], bands[1]


def _shift(size: int) -> Tensor:
    """Return Z₀: ones just below the diagonal."""
    return torch.ones(max(size - 1, 0), dtype=torch.float64).diag(-1)


def _checked_matrix(name: str, matrix: Tensor, size: int | None = None) -> Tensor:
    if not isinstance(matrix, Tensor) or matrix.ndim != 2 or not matrix.numel():
        found = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
        raise StructuredLayersError(f"{name} must be a tensor with two dimensions, got {found}")
    if size is not None and matrix.shape != (size, size):
        raise StructuredLayersError(
            f"{name} must be of shape {(size, size)} to go with the weight, "
            f"got {tuple(matrix.shape)}"
        )
    matrix = matrix.detach().to("cpu", torch.float64)
    if not bool(matrix.isfinite().all()):
        raise StructuredLayersError(f"{name} must be finite, but has NaN or infinite entries")
    return matrix


def _precision(weight: Tensor) -> float:
    """Return the relative rounding error of a weight; integers have only that of the arithmetic."""
    return torch.finfo(weight.dtype if weight.is_floating_point() else torch.float64).eps


def _check_not_negative(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise StructuredLayersError(f"{name} must be a number of at least 0, got {value!r}")
