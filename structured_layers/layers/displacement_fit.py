"""Generators of low displacement rank for a given matrix, by alternating least squares.

The weight is linear in the generators of the outputs while those of the inputs stay, and the other
way round. Each half is solved by a few steps of conjugate gradients on the normal equations, which
never increase the error. Keeping the largest singular values of the displacement itself is a start
and no more: as an approximation of the weight it can be worse than the zero matrix, because undoing
the displacement magnifies what was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.func import vjp

from .displacement_families import family_nodes, low_displacement_rank
from .nearest import group_means
from .toeplitz import toeplitz

Build = Callable[[Tensor], Tensor]

TRIAL_ALTERNATIONS = 4  # of every start; only the best one goes on
MAX_ALTERNATIONS = 40
GRADIENT_STEPS = 10
LEAST_PROGRESS = 1e-4  # of the squared error, per alternation


def fit_generators(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return generators whose matrix is close to ``weight`` in the Frobenius norm.

    Args:
        weight: (out, in) float64.
        rank: of the displacement.
        family: one of :data:`~structured_layers.layers.displacement_families.FAMILIES`.

    Returns:
        (rows, out + in) float64, as :func:`~.displacement_families.low_displacement_rank` takes
        them.
    """
    norm = torch.linalg.vector_norm(weight)
    num_rows = 2 * rank if family == "toeplitz_hankel" else rank
    if norm == 0:
        return weight.new_zeros(num_rows, sum(weight.shape))
    target = weight / norm
    nodes = family_nodes(family, *weight.shape)

    def build(values: Tensor) -> Tensor:
        return low_displacement_rank(values, weight.shape[0], family, nodes)

    starts = [_scaled(start, build, target) for start in _starts(target, rank, family)]
    trials = [_alternate(start, build, target, TRIAL_ALTERNATIONS) for start in starts]
    best = min(trials, key=lambda values: _error(build(values), target))
    return torch.sqrt(norm) * _alternate(best, build, target, MAX_ALTERNATIONS)


def _alternate(values: Tensor, build: Build, target: Tensor, alternations: int) -> Tensor:
    """Solve for the generators of the outputs and of the inputs in turn."""
    out_features = target.shape[0]
    error = _error(build(values), target)
    for _ in range(alternations):
        left, right = values[:, :out_features], values[:, out_features:]
        right = _least_squares(_of_right(build, left), target, right)
        left = _least_squares(_of_left(build, right), target, left)
        values = torch.cat([left, right], -1)
        previous, error = error, _error(build(values), target)
        if error > (1 - LEAST_PROGRESS) * previous:
            break
    return values


def _of_right(build: Build, left: Tensor) -> Build:
    return lambda right: build(torch.cat([left, right], -1))


def _of_left(build: Build, right: Tensor) -> Build:
    return lambda left: build(torch.cat([left, right], -1))


def _least_squares(apply: Build, target: Tensor, start: Tensor) -> Tensor:
    """Take conjugate-gradient steps towards the x that minimises ``|apply(x) - target|²``."""
    image, adjoint, *_ = vjp(apply, start)
    residual, solution = target - image, start
    direction = gradient = adjoint(residual)[0]
    squared = gradient.square().sum()
    for _ in range(GRADIENT_STEPS):
        image = apply(direction)
        curvature = image.square().sum()
        if curvature == 0:
            break
        step = squared / curvature
        solution = solution + step * direction
        residual = residual - step * image
        gradient = adjoint(residual)[0]
        previous, squared = squared, gradient.square().sum()
        direction = gradient + squared / previous * direction
    return solution


def _error(weight: Tensor, target: Tensor) -> Tensor:
    return (weight - target).square().sum()


def _starts(target: Tensor, rank: int, family: str) -> Iterator[Tensor]:
    """Yield generators to start from, all of them finite."""
    shape = (2 * rank if family == "toeplitz_hankel" else rank, sum(target.shape))
    generator = torch.Generator("cpu").manual_seed(0)
    yield torch.randn(shape, generator=generator, dtype=target.dtype, device="cpu")
    candidates = [_truncated(target, rank, family)]
    if rank >= 2 and family in ("toeplitz", "hankel", "toeplitz_hankel"):
        candidates.append(_from_shared_entries(target, rank, family))
    yield from (values for values in candidates if bool(values.isfinite().all()))


def _scaled(values: Tensor, build: Build, target: Tensor) -> Tensor:
    """Multiply generators so that their matrix is as close to the target as a multiple can be."""
    weight = build(values)
    factor = (weight * target).sum() / weight.square().sum().clamp(min=torch.finfo().tiny)
    rows = values.shape[-1] - target.shape[1]
    root = factor.abs().sqrt()
    return torch.cat([factor.sign() * root * values[:, :rows], root * values[:, rows:]], -1)


def _truncated(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return the generators of the largest singular values of the displacement."""
    if family == "toeplitz_hankel":
        first = _truncated(weight, rank, "toeplitz")
        build = low_displacement_rank(first, weight.shape[0], "toeplitz", {})
        return torch.cat([first, _truncated(weight - build, rank, "hankel")], -2)
    if family == "hankel":
        mirrored = _truncated(weight.flip(-1), rank, "toeplitz")
        left, right = mirrored.tensor_split([weight.shape[0]], -1)
        return torch.cat([left, right.flip(-1)], -1)
    nodes = family_nodes(family, *weight.shape)
    left, singular, right = torch.linalg.svd(_displacement(weight, family, nodes), False)
    roots = singular[:rank].sqrt()
    left, right = (left[:, :rank] * roots).mT, roots[:, None] * right[:rank]
    if family == "vandermonde":
        left, right = left / nodes["row_nodes"] ** weight.shape[1], right.flip(-1)
    return torch.cat([left, right], -1)


def _displacement(weight: Tensor, family: str, nodes: dict[str, Tensor]) -> Tensor:
    """Return A W - W B."""
    if family == "cauchy":
        return (nodes["row_nodes"][:, None] - nodes["column_nodes"]) * weight
    shifted = torch.nn.functional.pad(weight[:, 1:], (0, 1))  # W Z_0
    if family == "vandermonde":
        return nodes["row_nodes"][:, None] * weight - shifted
    return weight.roll(1, 0) - shifted


def _from_shared_entries(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return the generators of the nearest Toeplitz or Hankel matrix, and of what is left of it.

    Such a matrix has rank 2, so no fit from here is worse than the layers that share entries.
    """
    if family == "toeplitz_hankel":
        first = _from_shared_entries(weight, rank, "toeplitz")
        build = low_displacement_rank(first, weight.shape[0], "toeplitz", {})
        return torch.cat([first, _from_shared_entries(weight - build, rank, "hankel")], -2)
    if family == "hankel":
        mirrored = _from_shared_entries(weight.flip(-1), rank, "toeplitz")
        left, right = mirrored.tensor_split([weight.shape[0]], -1)
        return torch.cat([left, right.flip(-1)], -1)
    num_diagonals = sum(weight.shape) - 1
    diagonals = toeplitz(torch.arange(num_diagonals, device="cpu"), *weight.shape)
    nearest = toeplitz(group_means(weight, diagonals, num_diagonals), *weight.shape)
    rest = _truncated(weight - nearest, rank - 2, "toeplitz")
    return torch.cat([_truncated(nearest, 2, "toeplitz"), rest], -2)
