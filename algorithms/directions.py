"""The directions in which a search senses the gradient: pure functions of a generator.

Every kind has E[ε εᵀ] = I and a law that is symmetric about zero, so that the estimators of
:mod:`~structured_layers.algorithms.gradient_estimators` are right on linear functions in the mean.
A kind is a function (num_directions, dimension, generator, dtype) → (num_directions, dimension);
one of your own goes wherever a name does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .threads import one_thread
from .walsh_hadamard import padded_size, walsh_hadamard_, walsh_signs

Directions = Callable[[int, int, torch.Generator, torch.dtype], Tensor]
"""(num_directions, dimension, generator, dtype) → (num_directions, dimension)"""

BLOCK_ELEMENTS = 2**22
"""Numbers of a streamed block, about: 16 MB in single precision."""


def gaussian(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Return independent directions ε_i ~ N(0, I).

    Returns:
        (num_directions, dimension)
    """
    return torch.randn(num_directions, dimension, generator=generator, dtype=dtype)


def orthogonal(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Return directions that are orthogonal within a block, each ~ N(0, I) by itself.

    A block has at most ``dimension`` rows; further rows are further independent blocks.

    Returns:
        (num_directions, dimension)

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), Section 3.
    """
    blocks = _orthogonal_blocks(num_directions, dimension, generator, dtype)
    return _gather(blocks, num_directions, dimension, dtype)


def hadamard(
    num_directions: int,
    dimension: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    *,
    num_factors: int = 1,
) -> Tensor:
    """Return the first rows of √n·(S·D_k)⋯(S·D_1): S a Hadamard matrix, D_i random signs.

    n is ``dimension`` padded to a power of two and the rows are cut to ``dimension``. They are
    orthogonal if ``dimension`` is a multiple of the number of rows, itself rounded up to a power of
    two, and nearly so otherwise (docs/gradient_sensing.md). With one factor the entries are ±1, so
    the norm is √dimension. Rows beyond ``dimension`` come from further independent matrices.

    Args:
        num_directions: N.
        dimension: d.
        generator: of the signs.
        dtype: of the rows.
        num_factors: k; more factors make the law more nearly Gaussian, at O(d log d) a row each.

    Returns:
        (num_directions, dimension)

    Reference:
        Choromanski et al., Structured Evolution, ICML 2018 (arXiv 1804.02395), Section 3.
    """
    blocks = _hadamard_blocks(num_directions, dimension, generator, dtype, num_factors=num_factors)
    return _gather(blocks, num_directions, dimension, dtype)


def coordinate(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Return ±√d·e_j for coordinates j in random order: finite differences, the oldest choice.

    Every coordinate comes once before any comes twice. Random signs keep the law symmetric.

    Returns:
        (num_directions, dimension)
    """
    blocks = _coordinate_blocks(num_directions, dimension, generator, dtype)
    return _gather(blocks, num_directions, dimension, dtype)


def direction_blocks(
    directions: str | Directions,
    num_directions: int,
    dimension: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Tensor]:
    """Yield the rows of a kind block by block, never holding more than one block.

    The blocks are the rows that the kind itself returns, to the bit. Orthogonal directions need
    their whole block of at most ``dimension`` rows at once; one's own kind comes as one block, and
    is converted to ``dtype``.

    Args:
        directions: a name or one's own kind.
        num_directions: N.
        dimension: d.
        generator: as the kind takes it.
        dtype: of the rows.

    Yields:
        (rows, dimension), valid until the next block is asked for.

    Raises:
        StructuredLayersError: an unknown name, or one's own kind returns something else than finite
            numbers of shape (num_directions, dimension).

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> sum(len(b) for b in direction_blocks("hadamard", 256, 100_000, generator))
        256
    """
    kind = resolve_directions(directions)
    for known, blocks in _BLOCKS:
        if kind is known:
            yield from blocks(num_directions, dimension, generator, dtype)
            return
    rows = kind(num_directions, dimension, generator, dtype)
    _check_rows(rows, num_directions, dimension)
    yield rows.to(dtype)


def resolve_directions(directions: str | Directions) -> Directions:
    """Return the kind of this name, or one's own kind as it is.

    Raises:
        StructuredLayersError: an unknown name.
    """
    if callable(directions):
        return directions
    if not isinstance(directions, str) or directions not in DIRECTIONS:
        raise StructuredLayersError(
            f"directions must be one of {', '.join(DIRECTIONS)} or a function of (num_directions, "
            f"dimension, generator, dtype), got {directions!r}"
        )
    return DIRECTIONS[directions]


def _check_rows(rows: Tensor, num_directions: int, dimension: int) -> None:
    if not isinstance(rows, Tensor):
        raise StructuredLayersError(
            f"directions must return a tensor of shape ({num_directions}, {dimension}), got a "
            f"{type(rows).__name__}"
        )
    if tuple(rows.shape) != (num_directions, dimension):
        raise StructuredLayersError(
            f"directions must return shape ({num_directions}, {dimension}), got {tuple(rows.shape)}"
        )
    if not bool(rows.isfinite().all()):
        raise StructuredLayersError("directions must return finite numbers")


def _gaussian_blocks(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Iterator[Tensor]:
    # PyTorch draws normal numbers 16 at a time: blocks of a multiple of 16 numbers, and no shorter
    # last one, are the same bits as one draw
    step = 16 // math.gcd(16, dimension)
    count = max(BLOCK_ELEMENTS // (dimension * step), 1) * step
    rows, start = torch.empty(0, dtype=dtype), 0
    while start < num_directions:
        left = num_directions - start
        count = left if (left - count) * dimension < 16 else count
        if len(rows) != count:
            rows = torch.empty(count, dimension, dtype=dtype)
        yield rows.normal_(generator=generator)
        start += count


def _orthogonal_blocks(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Iterator[Tensor]:
    for count in _block_sizes(num_directions, dimension):
        columns = torch.randn(count, dimension, generator=generator, dtype=torch.float64).T
        with one_thread():
            basis, triangle = torch.linalg.qr(columns)  # (d, count)
            norms = columns.norm(dim=0)
        # with a positive diagonal the basis depends on the columns' directions alone, so their
        # norms are chi(d), independent of each other and of the basis
        basis *= triangle.diagonal().sign() * norms
        yield basis.T.to(dtype)


def _hadamard_blocks(
    num_directions: int,
    dimension: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    *,
    num_factors: int = 1,
) -> Iterator[Tensor]:
    if num_factors < 1:
        raise StructuredLayersError(f"num_factors must be at least 1, got {num_factors}")
    size = padded_size(dimension)
    for count in _block_sizes(num_directions, dimension):
        signs = _random_signs((num_factors, size), generator, dtype)
        for start, rows in _hadamard_rows(count, signs[0]):
            for later in signs[1:]:
                rows = walsh_hadamard_(rows).mul_(later)
            yield rows[: count - start, :dimension]


def _hadamard_rows(count: int, signs: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the first ``count`` rows of √n·S·diag(signs), a power of two of them at once."""
    size = len(signs)
    step = min(padded_size(count), padded_size(max(BLOCK_ELEMENTS // size, 1)))
    # row start + i of H is row start times row i, and row i < step has the period step
    pattern = walsh_signs(step, signs.dtype)[:, None]  # (step, 1, step)
    first = signs.clone()  # row start of H, times the signs
    rows = torch.empty(step, size // step, step, dtype=signs.dtype)
    for start in range(0, count, step):
        _flip_(first, start ^ max(start - step, 0))
        torch.mul(pattern, first.view(1, -1, step), out=rows)
        yield start, rows.view(step, size)


def _flip_(row: Tensor, changed_bits: int) -> None:
    """Turn row r of H, times any signs, into row r XOR ``changed_bits``."""
    half = 1
    while half <= changed_bits:
        if changed_bits & half:
            row.view(-1, 2, half)[:, 1].neg_()
        half *= 2


def _coordinate_blocks(
    num_directions: int, dimension: int, generator: torch.Generator, dtype: torch.dtype
) -> Iterator[Tensor]:
    limit = max(BLOCK_ELEMENTS // dimension, 1)
    block = torch.empty(min(limit, dimension, num_directions), dimension, dtype=dtype)
    for total in _block_sizes(num_directions, dimension):
        order = torch.randperm(dimension, generator=generator)[:total]
        signs = _random_signs((total,), generator, dtype)
        for start in range(0, total, limit):
            places, values = order[start : start + limit], signs[start : start + limit]
            rows = block[: len(places)].zero_()
            rows[torch.arange(len(places)), places] = values * math.sqrt(dimension)
            yield rows


def _block_sizes(num_directions: int, dimension: int) -> list[int]:
    """Cut N rows into blocks of d, the last one shorter."""
    full, rest = divmod(num_directions, dimension)
    return [dimension] * full + [rest] * (rest > 0)


def _random_signs(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    bits = torch.randint(2, shape, generator=generator, dtype=torch.int8)
    return (2 * bits - 1).to(dtype)


def _gather(
    blocks: Iterator[Tensor], num_directions: int, dimension: int, dtype: torch.dtype
) -> Tensor:
    rows, start = torch.empty(num_directions, dimension, dtype=dtype), 0
    for block in blocks:
        rows[start : start + len(block)] = block
        start += len(block)
    return rows


_BLOCKS = (
    (gaussian, _gaussian_blocks),
    (orthogonal, _orthogonal_blocks),
    (hadamard, _hadamard_blocks),
    (coordinate, _coordinate_blocks),
)

DIRECTIONS: dict[str, Directions] = {
    "gaussian": gaussian,
    "orthogonal": orthogonal,
    "hadamard": hadamard,
    "coordinate": coordinate,
}
