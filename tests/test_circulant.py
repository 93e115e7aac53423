"""The circulant matrix itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from structured_layers import CirculantLinear, StructuredLayersError
from structured_layers.layers.circulant import circulant


@given(n=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_a_square_circulant_is_a_cyclic_convolution(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    column, x = torch.randn(2, n, generator=generator, dtype=torch.float64)
    convolved = torch.fft.ifft(torch.fft.fft(column) * torch.fft.fft(x)).real
    torch.testing.assert_close(circulant(column, n, n) @ x, convolved)


@pytest.mark.parametrize(("out", "width"), [(2, 5), (5, 2), (1, 4), (4, 1)])
def test_a_rectangle_is_cut_from_the_square(out: int, width: int) -> None:
    values = torch.randn(3, max(out, width))
    square = circulant(values, max(out, width), max(out, width))
    assert torch.equal(circulant(values, out, width), square[:, :out, :width])


def test_from_linear_refuses_structure_that_it_does_not_have() -> None:
    with pytest.raises(
        StructuredLayersError, match="takes no keywords besides the layer; got mask"
    ):
        CirculantLinear.from_linear(torch.nn.Linear(2, 2), mask=None)
