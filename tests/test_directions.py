"""Directions: their laws against exact values and their own standard errors."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import hadamard as scipy_hadamard
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.algorithms.directions import (
    DIRECTIONS,
    coordinate,
    direction_blocks,
    gaussian,
    hadamard,
    orthogonal,
)
from structured_layers.algorithms.walsh_hadamard import padded_size, walsh_hadamard_, walsh_signs

KINDS = {**DIRECTIONS, "hadamard of two factors": partial(hadamard, num_factors=2)}
each_kind = pytest.mark.parametrize("kind", KINDS)


def draw(kind: str, num: int, dimension: int, seed: int = 0, dtype=torch.float64) -> Tensor:
    return KINDS[kind](num, dimension, torch.Generator().manual_seed(seed), dtype)


def cosines(rows: Tensor) -> Tensor:
    rows = rows.double() / rows.double().norm(dim=1, keepdim=True)
    return rows @ rows.T - torch.eye(len(rows), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 8, 128])
def test_the_transform_is_scipys_matrix_and_its_own_inverse(size: int) -> None:
    matrix = torch.from_numpy(scipy_hadamard(size)).double() / math.sqrt(size)
    for dtype in (torch.float32, torch.float64):
        values = torch.randn(5, size, generator=torch.Generator().manual_seed(0), dtype=dtype)
        transformed = walsh_hadamard_(values.clone())
        torch.testing.assert_close(
            transformed.double(), values.double() @ matrix, rtol=0, atol=1e-6
        )
        torch.testing.assert_close(walsh_hadamard_(transformed), values, rtol=0, atol=1e-6)
    assert torch.equal(walsh_signs(size, torch.float64), (matrix * math.sqrt(size)).round())


def test_the_transform_works_in_place_in_any_leading_dimensions() -> None:
    values = torch.randn(2, 3, 16, dtype=torch.float64)
    rows = walsh_hadamard_(values.clone().flatten(0, 1))
    result = walsh_hadamard_(values)
    assert result is values
    assert torch.equal(values.flatten(0, 1), rows)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(6), r"power of two, got shape \(6,\)"),
        (torch.zeros(0), "power of two"),
        (torch.tensor(1.0), "power of two"),
        (torch.zeros(4, 4).T[:, :4], "contiguous"),
        (torch.zeros(4, dtype=torch.int64), "floating-point numbers, got torch.int64"),
    ],
)
def test_what_cannot_be_transformed_in_place_is_refused(values: Tensor, message: str) -> None:
    with pytest.raises(StructuredLayersError, match=message):
        walsh_hadamard_(values)


@pytest.mark.parametrize(("size", "padded"), [(1, 1), (2, 2), (3, 4), (254, 256), (1025, 2048)])
def test_padding_goes_to_the_next_power_of_two(size: int, padded: int) -> None:
    assert padded_size(size) == padded


@each_kind
@pytest.mark.parametrize("dimension", [5, 8, 12])
def test_the_mean_is_zero_and_the_covariance_the_identity(kind: str, dimension: int) -> None:
    """Of every single row, over independent draws, by the draws' own standard errors."""
    draws = torch.stack([draw(kind, 3, dimension, seed) for seed in range(3000)])
    for row in range(3):
        rows = draws[:, row]
        deviation = rows.std(dim=0) / math.sqrt(len(rows))
        assert (rows.mean(dim=0).abs() < 4.5 * deviation).all()
        products = rows[:, :, None] * rows[:, None, :]
        error = products.std(dim=0) / math.sqrt(len(rows))
        wrong = (products.mean(dim=0) - torch.eye(dimension, dtype=torch.float64)).abs()
        assert (wrong <= 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dimension", [16, 256])
@pytest.mark.parametrize(
    "kind", ["orthogonal", "hadamard", "coordinate", "hadamard of two factors"]
)
def test_rows_of_a_block_are_orthogonal(kind: str, dimension: int, dtype: torch.dtype) -> None:
    for num in (2, dimension // 2, dimension):
        assert cosines(draw(kind, num, dimension, dtype=dtype)).abs().max() < 1e-6


@pytest.mark.parametrize("kind", ["orthogonal", "coordinate"])
def test_padding_is_the_hadamard_kinds_own_problem(kind: str) -> None:
    assert cosines(draw(kind, 100, 100)).abs().max() < 1e-6


def test_hadamard_rows_cut_to_a_multiple_of_their_number_stay_orthogonal() -> None:
    assert cosines(draw("hadamard", 64, 320)).abs().max() < 1e-6
    # elsewhere two rows have at most half their number, rounded up to a power of two, in common
    assert cosines(draw("hadamard", 64, 1000)).abs().max() <= 32 / 1000
    assert cosines(draw("hadamard", 64, 1000)).abs().max() > 1e-3


@each_kind
def test_more_directions_than_dimensions_are_independent_blocks(kind: str) -> None:
    rows = draw(kind, 20, 8)
    assert rows.shape == (20, 8)
    if kind != "gaussian":
        for block in (rows[:8], rows[8:16], rows[16:]):
            assert cosines(block).abs().max() < 1e-6
    if kind not in ("gaussian", "coordinate"):
        assert cosines(rows)[:8, 8:].abs().max() > 1e-3
    blocks = torch.stack([draw(kind, 16, 8, seed).view(2, 8, 8) for seed in range(2000)])
    products = (blocks[:, 0, 0] * blocks[:, 1, 0]).sum(dim=1)  # of rows of different blocks
    assert abs(float(products.mean())) < 4 * float(products.std()) / math.sqrt(len(products))


@pytest.mark.parametrize("dimension", [3, 17, 64])
def test_norms_of_orthogonal_rows_are_independent_chi(dimension: int) -> None:
    num = min(4, dimension)
    norms = torch.stack([draw("orthogonal", num, dimension, s).norm(dim=1) for s in range(1500)])
    for row in range(num):
        assert stats.kstest(norms[:, row].numpy(), stats.chi(dimension).cdf).pvalue > 0.001
    correlations = torch.corrcoef(norms.T) - torch.eye(num, dtype=torch.float64)
    assert correlations.abs().max() < 4.5 / math.sqrt(len(norms))


def test_an_entry_of_an_orthogonal_row_is_standard_normal() -> None:
    entries = torch.stack([draw("orthogonal", 3, 5, s)[2, 1] for s in range(2000)])
    assert stats.kstest(entries.numpy(), stats.norm.cdf).pvalue > 0.001


@pytest.mark.parametrize("dimension", [5, 16])
def test_hadamard_rows_are_signs_and_coordinate_rows_axes(dimension: int) -> None:
    assert torch.equal(
        draw("hadamard", dimension, dimension).abs(), torch.ones(dimension, dimension)
    )
    rows = draw("coordinate", dimension, dimension)
    assert torch.equal((rows != 0).sum(dim=0), torch.ones(dimension, dtype=torch.int64))
    torch.testing.assert_close(
        rows.norm(dim=1), torch.full((dimension,), math.sqrt(dimension)).double()
    )
    assert len(draw("coordinate", 400, 5).sign().unique()) == 3


def test_hadamard_is_the_product_of_its_factors() -> None:
    """Against √n·S·D_2·S·D_1 with SciPy's matrix and the same signs."""
    size, num = 16, 6
    generator = torch.Generator().manual_seed(3)
    bits = torch.randint(2, (2, size), generator=generator, dtype=torch.int8)
    first, second = (2.0 * bits - 1).double()
    matrix = torch.from_numpy(scipy_hadamard(size)).double() / 4
    # which signs are drawn first does not matter to the law
    expected = 4 * (matrix * first) @ (matrix * second)
    torch.testing.assert_close(draw("hadamard of two factors", num, size, 3), expected[:num])


@each_kind
def test_a_draw_follows_from_its_generator_alone(kind: str) -> None:
    state = torch.get_rng_state()
    assert torch.equal(draw(kind, 7, 12, 1), draw(kind, 7, 12, 1))
    assert not torch.equal(draw(kind, 7, 12, 1), draw(kind, 7, 12, 2))
    assert draw(kind, 7, 12, dtype=torch.float32).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)
    generator = torch.Generator().manual_seed(0)
    first, second = (KINDS[kind](7, 12, generator, torch.float64) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", DIRECTIONS)
@given(num=st.integers(1, 40), dimension=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_blocks_are_the_rows_of_the_whole_to_the_bit(
    kind: str, num: int, dimension: int, seed: int
) -> None:
    whole = DIRECTIONS[kind](num, dimension, torch.Generator().manual_seed(seed), torch.float32)
    generator = torch.Generator().manual_seed(seed)
    blocks = [b.clone() for b in direction_blocks(kind, num, dimension, generator)]
    assert torch.equal(torch.cat(blocks), whole)


@pytest.mark.parametrize("kind", DIRECTIONS)
@pytest.mark.parametrize("limit", [1, 100, 5000])
def test_small_blocks_are_the_same_rows(
    kind: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(kind, 37, 100, dtype=torch.float32)
    monkeypatch.setattr("structured_layers.algorithms.directions.BLOCK_ELEMENTS", limit)
    generator = torch.Generator().manual_seed(0)
    blocks = [b.clone() for b in direction_blocks(kind, 37, 100, generator)]
    assert torch.equal(torch.cat(blocks), whole)
    if kind != "orthogonal" and limit < 5000:
        assert max(len(block) for block in blocks) <= 5  # 16 numbers at least, so four rows


@pytest.mark.parametrize("kind", ["gaussian", "hadamard", "coordinate"])
def test_no_block_of_many_directions_is_large(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [block.numel() for block in direction_blocks(kind, 256, 300_000, generator)]
    assert sum(sizes) == 256 * 300_000
    assert max(sizes) <= 2**22 + 16


def test_a_kind_of_ones_own_is_one_block() -> None:
    def ones(num: int, dimension: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        return torch.ones(num, dimension, dtype=dtype)

    (block,) = direction_blocks(ones, 3, 2, torch.Generator())
    assert torch.equal(block, torch.ones(3, 2))


def test_unknown_names_and_numbers() -> None:
    generator = torch.Generator()
    with pytest.raises(StructuredLayersError, match="one of gaussian, .*coordinate .*got 'sobol'"):
        next(direction_blocks("sobol", 3, 2, generator))
    with pytest.raises(StructuredLayersError, match="num_factors must be at least 1, got 0"):
        hadamard(3, 2, generator, torch.float32, num_factors=0)


def test_no_directions_are_no_rows() -> None:
    for kind in (gaussian, orthogonal, hadamard, coordinate):
        assert kind(0, 4, torch.Generator(), torch.float32).shape == (0, 4)
