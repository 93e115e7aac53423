"""The Toeplitz matrix itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from structured_layers import StructuredLayersError
from structured_layers.layers.toeplitz import toeplitz


def unit_circulant(n: int, f: float) -> Tensor:
    """Z_f: shift down by one, f in the upper right corner."""
    shift = torch.diag(torch.ones(n - 1, dtype=torch.float64), -1)
    shift[0, n - 1] += f
    return shift


@given(n=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_displacement_rank_is_at_most_two(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = toeplitz(torch.randn(2 * n - 1, generator=generator, dtype=torch.float64), n, n)
    displaced = unit_circulant(n, 1.0) @ weight - weight @ unit_circulant(n, -1.0)
    assert torch.linalg.matrix_rank(displaced) <= 2


@given(
    out=st.integers(1, 9), width=st.integers(1, 9), batch=st.lists(st.integers(0, 3), max_size=2)
)
def test_entries_are_the_diagonals_in_order(out: int, width: int, batch: list[int]) -> None:
    values = torch.randn(*batch, out + width - 1)
    weight = toeplitz(values, out, width)
    assert weight.shape == (*batch, out, width)
    for i in range(out):
        for j in range(width):
            assert torch.equal(weight[..., i, j], values[..., i - j + width - 1])


def test_values_may_be_any_view() -> None:
    wide = torch.randn(3, 20)
    for view in (wide[:, 4:9], wide[:, ::4], wide.T[:5].T, wide[:1, 4:9].expand(3, 5)):
        assert torch.equal(toeplitz(view, 3, 3), toeplitz(view.clone(), 3, 3))


@pytest.mark.parametrize("size", [0, 4, 6])
def test_the_number_of_diagonals_is_checked(size: int) -> None:
    with pytest.raises(StructuredLayersError, match=r"3 × 3 has 5 diagonals, got values of shape"):
        toeplitz(torch.zeros(2, size), 3, 3)
