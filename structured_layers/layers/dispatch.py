"""When a layer multiplies by FFT, and when it builds its dense weight.

The dense weight costs its building and a matrix product, ``entries · (build + rows · multiply)``;
the FFT costs its transforms and a fixed time for its many small calls, ``calls · fixed + points ·
point``. The constants are nanoseconds on one CPU core, fitted by ``benchmarks/fft_crossover.py``.
A forward pass that a backward pass will follow has constants of its own, which count both passes.

The choice depends on sizes, batch, type and mode only, and nothing is kept from one call to the
next. What an FFT does not support gets the dense weight: half precision, autocast, empty batches,
and everything that records the operations to run them elsewhere (``torch.compile``,
``torch.export``, ``torch.jit.trace``, ONNX).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

LARGE_ENOUGH = 2**15  # entries of the weight; in smaller layers the FFT never wins
ACCELERATOR_ENTRIES = 2**26  # an estimate: there, few large products beat many small calls


class Work(NamedTuple):
    """What there is to do for one product.

    Attributes:
        entries: of the dense weight.
        points: of all transforms, see :func:`transform_points`.
        build: how many times as long as a Toeplitz matrix the dense weight takes to build.
        calls: how many times as many calls as the Toeplitz product the product by FFT makes.
    """

    entries: int
    points: float
    build: float = 1.0
    calls: float = 1.0


class Nanoseconds(NamedTuple):
    """What the parts of a product cost on one core.

    Attributes:
        build: building one entry of a Toeplitz matrix.
        multiply: multiplying one entry of the weight with an input.
        fixed: the calls of a Toeplitz product by FFT.
        point: one point of a transform, of which a transform of length L has L log2 L.
    """

    build: float
    multiply: float
    fixed: float
    point: float


EVALUATION = Nanoseconds(build=0.39, multiply=0.024, fixed=21_000, point=0.095)
TRAINING = Nanoseconds(build=5.5, multiply=0.07, fixed=172_000, point=0.47)


def fft_is_faster(input: Tensor, values: Tensor, work: Work) -> bool:
    """Tell whether a product by FFT, if it is possible, is expected to be faster than a dense one.

    Args:
        input: (*, in).
        values: the free values of the layer.
        work: what either way has to do.
    """
    if values.device.type != "cpu":
        return work.entries >= ACCELERATOR_ENTRIES
    is_training = torch.is_grad_enabled() and (values.requires_grad or input.requires_grad)
    cost = TRAINING if is_training else EVALUATION
    dense = work.entries * (work.build * cost.build + _rows(input) * cost.multiply)
    return work.calls * cost.fixed + work.points * cost.point < dense


def transform_points(input: Tensor, length: int, rank: int = 1) -> float:
    """Return the points of the transforms of one convolution with each of ``rank`` kernels.

    Args:
        input: (*, in).
        length: the length of the transforms.
        rank: the number of kernels.
    """
    transforms = _rows(input) * (1 + rank) + rank
    return transforms * length * math.log2(length)


def _rows(input: Tensor) -> int:
    return input.numel() // input.shape[-1]


def fft_is_possible(input: Tensor, values: Tensor, in_features: int) -> bool:
    """Tell whether a product by FFT would work here and give what the dense product gives.

    Inputs of a wrong shape or type are left to the dense product, which refuses them.

    Args:
        input: (*, in).
        values: the free values of the layer.
        in_features: what the last dimension has to be.
    """
    return (
        not torch.compiler.is_compiling()
        and not torch._C._get_tracing_state()
        and not torch.onnx.is_in_onnx_export()
        and input.dtype == values.dtype
        and input.dtype in (torch.float32, torch.float64)
        and input.numel() > 0
        and input.shape[-1:] == (in_features,)
        and not torch.is_autocast_enabled(input.device.type)
    )
