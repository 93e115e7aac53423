"""The Hankel matrix itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import unit_shift

from structured_layers import StructuredLayersError
from structured_layers.layers.hankel import hankel


@given(
    out=st.integers(1, 9), width=st.integers(1, 9), batch=st.lists(st.integers(0, 3), max_size=2)
)
def test_entries_are_the_anti_diagonals_in_order(out: int, width: int, batch: list[int]) -> None:
    values = torch.randn(*batch, out + width - 1)
    weight = hankel(values, out, width)
    assert weight.shape == (*batch, out, width)
    for i in range(out):
        for j in range(width):
            assert torch.equal(weight[..., i, j], values[..., i + j])


@given(n=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_displacement_rank_is_at_most_two(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = hankel(torch.randn(2 * n - 1, generator=generator, dtype=torch.float64), n, n)
    displaced = unit_shift(n, 1.0) @ weight - weight @ unit_shift(n, 0.0).T
    assert torch.linalg.matrix_rank(displaced) <= 2


def test_the_matrix_shares_no_memory_with_the_values() -> None:
    for out, width in ((1, 3), (3, 1), (2, 2)):
        values = torch.zeros(out + width - 1)
        hankel(values, out, width).fill_(1)
        assert torch.count_nonzero(values) == 0


@pytest.mark.parametrize("size", [0, 4, 6])
def test_the_number_of_anti_diagonals_is_checked(size: int) -> None:
    with pytest.raises(StructuredLayersError, match=r"3 × 3 has 5 anti-diagonals, got values of"):
        hankel(torch.zeros(2, size), 3, 3)
