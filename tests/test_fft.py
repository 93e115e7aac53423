"""Products by FFT against dense ones, and when a layer takes which."""

import copy
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from structured_layers import (
    CirculantLinear,
    HankelLinear,
    LowDisplacementRankLinear,
    StructuredLinear,
    ToeplitzLinear,
)
from structured_layers.layers import convolution
from structured_layers.layers.displacement_families import (
    FFT_FAMILIES,
    low_displacement_rank,
    low_displacement_rank_product,
)
from structured_layers.layers.fft_products import (
    circulant_product,
    hankel_product,
    smooth_length,
    toeplitz_product,
)

SHARED = {
    ToeplitzLinear: toeplitz_product,
    HankelLinear: hankel_product,
    CirculantLinear: circulant_product,
}
LARGE = [
    *SHARED,
    *(partial(LowDisplacementRankLinear, rank=2, family=family) for family in FFT_FAMILIES),
]
sizes = st.integers(1, 40)


@given(length=st.integers(1, 5000))
def test_smooth_length_is_the_smallest(length: int) -> None:
    def is_smooth(n: int) -> bool:
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n == 1

    found = smooth_length(length)
    assert is_smooth(found)
    assert not any(is_smooth(n) for n in range(length, found))


@given(m=sizes, n=sizes, rows=st.integers(1, 5), block=st.sampled_from([1, 100, 10**6]))
def test_products_equal_the_dense_ones(m: int, n: int, rows: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "BLOCK", block)
        for kind, product in SHARED.items():
            layer = kind(n, m, dtype=torch.float64)
            x = torch.randn(rows, 2, n, dtype=torch.float64)
            torch.testing.assert_close(product(layer.values, x, m), F.linear(x, layer.weight))
        for family in FFT_FAMILIES:
            values = torch.randn(2 * min(2, m, n), m + n, dtype=torch.float64)
            dense = F.linear(x, low_displacement_rank(values, m, family))
            torch.testing.assert_close(low_displacement_rank_product(values, x, m, family), dense)


def products() -> list[tuple[str, Callable[[Tensor, Tensor], Tensor], tuple[int, ...], int]]:
    """Name, product, shape of the values and inputs of every FFT product of small rectangles."""
    found = []
    for m, n in ((4, 6), (7, 5), (7, 7)):
        for kind, product in SHARED.items():
            size = kind(n, m).values.shape
            found.append((f"{kind.__name__}-{m}-{n}", partial(product, out_features=m), size, n))
        for family in FFT_FAMILIES:
            product = partial(low_displacement_rank_product, out_features=m, family=family)
            found.append((f"{family}-{m}-{n}", product, (2, m + n), n))
    return found


@pytest.mark.parametrize("block", [1, 10**6])
@pytest.mark.parametrize(("name", "product", "shape", "n"), products(), ids=lambda p: str(p)[:20])
def test_derivatives_are_right(name, product, shape, n, block, monkeypatch) -> None:
    monkeypatch.setattr(convolution, "BLOCK", block)
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, n, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(product, (values, x), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(product, (values, x))


def uses_fft(layer: nn.Module, x: Tensor) -> bool:
    """Tell whether the layer's forward pass transforms anything."""
    with torch.profiler.profile() as profile:
        layer(x)
    return any("fft" in event.key for event in profile.key_averages())


@pytest.mark.parametrize("make", LARGE, ids=str)
def test_large_layers_use_the_fft_and_small_ones_do_not(make) -> None:
    large = make(1024, 1024)
    assert uses_fft(large, torch.randn(64, 1024))
    with torch.no_grad():
        assert uses_fft(large, torch.randn(1024))
    if make in SHARED:
        assert not uses_fft(make(41, 41), torch.randn(64, 41))


@pytest.mark.parametrize("make", LARGE, ids=str)
def test_gradients_of_large_layers_equal_the_dense_ones(make) -> None:
    layer = make(700, 513, dtype=torch.float64)
    x = torch.randn(3, 5, 700, dtype=torch.float64, requires_grad=True)
    assert uses_fft(layer, x)
    weights = [x, *layer.parameters()]
    gradient = torch.randn(3, 5, 513, dtype=torch.float64)
    ours = torch.autograd.grad(layer(x), weights, gradient)
    dense = torch.autograd.grad(F.linear(x, layer.weight, layer.bias), weights, gradient)
    for one, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("make", LARGE, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_contiguous_as_those_of_linear(make, bias: bool) -> None:
    output = make(1024, 700, bias)(torch.randn(2, 3, 1024))
    assert output.is_contiguous()
    assert output.untyped_storage().nbytes() == output.numel() * output.element_size()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_dense(dtype: torch.dtype) -> None:
    layer = ToeplitzLinear(1024, 1024, dtype=dtype)
    x = torch.randn(4, 1024, dtype=dtype)
    assert not uses_fft(layer, x)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_autocast_is_dense() -> None:
    layer, x = ToeplitzLinear(1024, 1024), torch.randn(64, 1024)
    with torch.autocast("cpu", torch.bfloat16):
        assert not uses_fft(layer, x)
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("make", LARGE, ids=str)
def test_what_is_recorded_is_dense(make) -> None:
    layer, x = make(600, 600).eval(), torch.randn(64, 600)
    expected = layer(x)
    program = torch.export.export(layer, (x,))
    assert "fft" not in str(program.graph)
    torch.testing.assert_close(program.module()(x), expected, rtol=1e-4, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        traced = torch.jit.trace(layer, x)
    assert "fft" not in str(traced.inlined_graph)
    torch.testing.assert_close(traced(x), expected, rtol=1e-4, atol=1e-5)


def test_the_older_onnx_exporter_gets_the_dense_weight() -> None:
    layer, x, file = ToeplitzLinear(600, 600).eval(), torch.randn(64, 600), BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated
        torch.onnx.export(layer, (x,), file, dynamo=False, input_names=["x"])
    (output,) = ReferenceEvaluator(file.getvalue()).run(None, {"x": x.numpy()})
    expected = F.linear(x, layer.weight, layer.bias).detach()
    torch.testing.assert_close(torch.from_numpy(output), expected, rtol=1e-4, atol=1e-5)


def test_wrong_inputs_fail_as_those_of_linear() -> None:
    for layer in (ToeplitzLinear(1024, 1024), HankelLinear(1024, 1024), CirculantLinear(1024, 9)):
        for x in (torch.randn(64, 1000), torch.randn(64, 1025)):
            with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
                layer(x)
        with pytest.raises(RuntimeError, match="dtype"):
            layer(torch.randn(64, 1024, dtype=torch.float64))


def test_nothing_is_kept_between_calls() -> None:
    layer: StructuredLinear = ToeplitzLinear(1024, 1024)
    x = torch.randn(64, 1024)
    before = copy.deepcopy(vars(layer)["_buffers"]), set(vars(layer))
    first = layer(x)
    layer.values.data.mul_(2)
    torch.testing.assert_close(layer(x) - layer.bias, 2 * (first - layer.bias))
    assert (vars(layer)["_buffers"], set(vars(layer))) == before
