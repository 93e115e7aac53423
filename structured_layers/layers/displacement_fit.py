"""Generators of low displacement rank for a given matrix, by alternating least squares.

The weight is linear in the generators of the outputs while those of the inputs stay, and the other
way round. Each half is solved by a few steps of conjugate gradients on the normal equations, which
never increase the error. Keeping the largest singular values of the displacement itself is a start
and no more: as an approximation of the weight it can be worse than the zero matrix, because undoing
the displacement magnifies what was cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.func import vjp

from structured_layers.errors import StructuredLayersError

from .displacement_families import chebyshev_nodes, interlaced_nodes, low_displacement_rank
from .nearest import group_means
from .toeplitz import toeplitz

Build = Callable[[Tensor], Tensor]

TRIAL_ALTERNATIONS = 4  # of every start; only the best one goes on
MAX_ALTERNATIONS = 40
GRADIENT_STEPS = 10
LEAST_PROGRESS = 1e-4  # of the squared error, per alternation
STEADY = 0.1  # change of the weight, relative to the target, from rounding to bfloat16


def fit_generators(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return generators whose matrix is close to ``weight`` in the Frobenius norm.

    Args:
        weight: (out, in) float64, not all zero.
        rank: of the displacement.
        family: one of :data:`~structured_layers.layers.displacement_families.FAMILIES`.

    Returns:
        (rows, out + in) float64, as :func:`~.displacement_families.low_displacement_rank` takes
        them, within the range of float32 and with both generators of a pair of the same norm.

    Raises:
        StructuredLayersError: if nothing closer than the zero matrix is found.
    """
    out_features = weight.shape[0]
    norm = torch.linalg.vector_norm(weight)
    target = weight / norm

    def build(values: Tensor) -> Tensor:
        return low_displacement_rank(values, out_features, family)

    def improved(values: Tensor, alternations: int) -> Tensor:
        return _balanced(_alternate(values, build, target, alternations), out_features)

    def error(values: Tensor) -> float:
        return _steady_error(values, build, target)

    starts = [_scaled(start, build, target) for start in _starts(target, rank, family)]
    starts = [start for start in starts if bool(start.isfinite().all())]
    best = min([*(improved(start, TRIAL_ALTERNATIONS) for start in starts), *starts], key=error)
    best = min(improved(best, MAX_ALTERNATIONS), best, key=error)
    if not error(best) < 1:
        raise StructuredLayersError(
            f"from_linear needs weights to which a {family} matrix of rank {rank} is closer than "
            f"the zero matrix, but found none for the {' × '.join(map(str, weight.shape))} weights "
            "of the layer; take another family or a higher rank"
        )
    return torch.sqrt(norm) * best


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


def _balanced(values: Tensor, out_features: int) -> Tensor:
    """Scale both generators of each pair to the same norm, which leaves their product as it is.

    Optimizers take steps of the same size in both.
    """
    left, right = values[:, :out_features], values[:, out_features:]
    ratios = right.norm(dim=-1, keepdim=True) / left.norm(dim=-1, keepdim=True)
    roots = torch.where((ratios > 0) & ratios.isfinite(), ratios, 1.0).sqrt()
    return torch.cat([left * roots, right / roots], -1)


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


def _steady_error(values: Tensor, build: Build, target: Tensor) -> float:
    """Return the squared error, infinite if the generators are huge and cancel each other.

    In single precision their matrix would be noise, and a step of an optimizer would destroy it.
    """
    weight = build(values)
    rounded = build(values.bfloat16().float())
    if not bool(_error(rounded, weight) < STEADY**2):
        return math.inf
    return float(_error(weight, target))


def _starts(target: Tensor, rank: int, family: str) -> Iterator[Tensor]:
    """Yield generators to start from."""
    shape = (2 * rank if family == "toeplitz_hankel" else rank, sum(target.shape))
    generator = torch.Generator("cpu").manual_seed(0)
    yield torch.randn(shape, generator=generator, dtype=target.dtype, device="cpu")
    yield _truncated(target, rank, family)
    if rank >= 2 and family in ("toeplitz", "hankel", "toeplitz_hankel"):
        yield _from_shared_entries(target, rank, family)


def _scaled(values: Tensor, build: Build, target: Tensor) -> Tensor:
    """Multiply balanced generators so that their matrix comes as close to the target as it can."""
    rows = values.shape[-1] - target.shape[1]
    values = _balanced(values, rows)
    weight = build(values)
    factor = (weight * target).sum() / weight.square().sum().clamp(min=torch.finfo().tiny)
    root = factor.abs().sqrt()
    return torch.cat([factor.sign() * root * values[:, :rows], root * values[:, rows:]], -1)


def _truncated(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return the generators of the largest singular values of the displacement."""
    if family == "toeplitz_hankel":
        first = _truncated(weight, rank, "toeplitz")
        build = low_displacement_rank(first, weight.shape[0], "toeplitz")
        return torch.cat([first, _truncated(weight - build, rank, "hankel")], -2)
    if family == "hankel":
        mirrored = _truncated(weight.flip(-1), rank, "toeplitz")
        left, right = mirrored.tensor_split([weight.shape[0]], -1)
        return torch.cat([left, right.flip(-1)], -1)
    left, singular, right = torch.linalg.svd(_displacement(weight, family), False)
    roots = singular[:rank].sqrt()
    left, right = (left[:, :rank] * roots).mT, roots[:, None] * right[:rank]
    if family == "vandermonde":
        left, right = left / chebyshev_nodes(len(weight)) ** weight.shape[1], right.flip(-1)
    return torch.cat([left, right], -1)


def _displacement(weight: Tensor, family: str) -> Tensor:
    """Return A W - W B."""
    if family == "cauchy":
        rows, columns = interlaced_nodes(*weight.shape)
        return (rows[:, None] - columns) * weight
    shifted = torch.nn.functional.pad(weight[:, 1:], (0, 1))  # W Z_0
    if family == "vandermonde":
        return chebyshev_nodes(len(weight))[:, None] * weight - shifted
    return weight.roll(1, 0) - shifted


def _from_shared_entries(weight: Tensor, rank: int, family: str) -> Tensor:
    """Return the generators of the nearest Toeplitz or Hankel matrix, and of what is left of it.

    Such a matrix has rank 2, so no fit from here is worse than the layers that share entries.
    """
    if family == "toeplitz_hankel":
        first = _from_shared_entries(weight, rank, "toeplitz")
        build = low_displacement_rank(first, weight.shape[0], "toeplitz")
        return torch.cat([first, _from_shared_entries(weight - build, rank, "hankel")], -2)
    if family == "hankel":
        mirrored = _from_shared_entries(weight.flip(-1), rank, "toeplitz")
        left, right = mirrored.tensor_split([weight.shape[0]], -1)
        return torch.cat([left, right.flip(-1)], -1)
    num_diagonals = sum(weight.shape) - 1
    diagonals = toeplitz(torch.arange(num_diagonals, device="cpu"), *weight.shape)
    nearest = toeplitz(group_means(weight, diagonals, num_diagonals), *weight.shape)
    shared = _truncated(nearest, 2, "toeplitz")
    if rank == 2:
        return shared
    rest = _truncated(weight - nearest, rank - 2, "toeplitz")

    def build_toeplitz(values: Tensor) -> Tensor:
        return low_displacement_rank(values, weight.shape[0], "toeplitz")

    return torch.cat([shared, _scaled(rest, build_toeplitz, weight - nearest)], -2)
