"""The steps of a population's forward pass, as NumPy arrays of all candidates.

Everything here gives a candidate the same bits in whatever batch it runs: one product per
candidate, concatenations, and elementwise functions of contiguous arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .layers.activations import KINDS, LARGEST_EXPONENT, LARGEST_ROOT, SMALLEST_DIVISOR

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.intp]
Function = Callable[[FloatArray], FloatArray]


def relu(x: FloatArray) -> FloatArray:
    """Return the positive part."""
    y: FloatArray = np.maximum(x, np.float32(0))
    return y


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)), by tanh, which does not overflow."""
    y: FloatArray = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))
    return y


def silu(x: FloatArray) -> FloatArray:
    """Return x · sigmoid(x)."""
    return x * sigmoid(x)


@dataclass(frozen=True)
class Clip:
    """The function that keeps its input between two bounds."""

    low: float
    high: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Clip every entry."""
        y: FloatArray = np.clip(x, np.float32(self.low), np.float32(self.high))
        return y


def _exp(x: FloatArray) -> FloatArray:
    y: FloatArray = np.exp(np.minimum(x, np.float32(LARGEST_EXPONENT)))
    return y


def _square(x: FloatArray) -> FloatArray:
    y: FloatArray = np.square(np.clip(x, np.float32(-LARGEST_ROOT), np.float32(LARGEST_ROOT)))
    return y


def _reciprocal(x: FloatArray) -> FloatArray:
    smallest = np.float32(SMALLEST_DIVISOR)
    divisor: FloatArray = np.where(x < 0, np.minimum(x, -smallest), np.maximum(x, smallest))
    return np.float32(1) / divisor


def _step(x: FloatArray) -> FloatArray:
    return (x > 0).astype(np.float32)


UNIT_FUNCTIONS: dict[str, Function] = {
    "tanh": np.tanh,
    "relu": relu,
    "exp": _exp,
    "identity": lambda x: x,
    "sin": np.sin,
    "sigmoid": sigmoid,
    "abs": np.abs,
    "cos": np.cos,
    "square": _square,
    "reciprocal": _reciprocal,
    "step": _step,
}


class Stage(Protocol):
    """One step of the forward pass, which holds what differs between candidates."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Map ``(P, 1, in)`` to ``(P, 1, out)``."""

    def dense(self) -> list[Dense]:
        """Return the linear layers within, in the order in which they run."""

    def take(self, rows: IndexArray) -> Stage:
        """Return a stage with copies of the candidates ``rows``."""

    def put(self, position: int, source: Stage, row: int) -> None:
        """Overwrite the candidate at ``position`` by the candidate ``row`` of a like stage."""


@dataclass
class Dense:
    """The dense weights of one layer for every candidate."""

    weight: FloatArray  # (P, in, out)
    bias: FloatArray | None  # (P, 1, out)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Multiply each candidate's input by its weight."""
        y: FloatArray = np.matmul(x, self.weight)  # (P, 1, in) @ (P, in, out)
        if self.bias is not None:
            y += self.bias
        return y

    def dense(self) -> list[Dense]:
        """Return itself."""
        return [self]

    def take(self, rows: IndexArray) -> Dense:
        """Return a stage with copies of the candidates ``rows``."""
        return Dense(self.weight[rows], None if self.bias is None else self.bias[rows])

    def put(self, position: int, source: Stage, row: int) -> None:
        """Overwrite one candidate."""
        if isinstance(source, Dense):
            self.weight[position] = source.weight[row]
            if self.bias is not None and source.bias is not None:
                self.bias[position] = source.bias[row]


@dataclass
class Elementwise:
    """One function for all units of all candidates."""

    function: Function

    def __call__(self, x: FloatArray) -> FloatArray:
        """Apply the function."""
        return self.function(x)

    def dense(self) -> list[Dense]:
        """Return none."""
        return []

    def take(self, rows: IndexArray) -> Elementwise:
        """Return itself: nothing differs between candidates."""
        return self

    def put(self, position: int, source: Stage, row: int) -> None:
        """Do nothing: nothing differs between candidates."""


@dataclass
class Units:
    """A function for each unit of each candidate."""

    kinds: NDArray[np.int64]  # (P, n)
    _places: dict[str, IndexArray] | None = field(default=None, repr=False)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Gather the units of one kind, apply their function, and put them back."""
        shape = np.broadcast_shapes(x.shape, self.kinds[:, None].shape)  # one policy, many rows
        flat = np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1)
        output = np.empty_like(flat)
        for name, places in self._places_of(shape).items():
            output[places] = UNIT_FUNCTIONS[name](flat[places])
        return output.reshape(shape)

    def dense(self) -> list[Dense]:
        """Return none."""
        return []

    def _places_of(self, shape: tuple[int, ...]) -> dict[str, IndexArray]:
        if shape[0] != len(self.kinds):
            return _places(np.broadcast_to(self.kinds, (shape[0], shape[-1])))
        if self._places is None:
            self._places = _places(self.kinds)
        return self._places

    def take(self, rows: IndexArray) -> Units:
        """Return a stage with copies of the candidates ``rows``."""
        return Units(self.kinds[rows])

    def put(self, position: int, source: Stage, row: int) -> None:
        """Overwrite one candidate."""
        if isinstance(source, Units):
            self.kinds[position] = source.kinds[row]
            self._places = None


def _places(kinds: NDArray[np.int64]) -> dict[str, IndexArray]:
    """Map the name of each function in use to the positions of its units."""
    flat = kinds.reshape(-1)
    return {KINDS[kind]: np.flatnonzero(flat == kind) for kind in np.unique(flat)}


@dataclass
class Skipping:
    """Groups of units, each of which sees the input and all groups before it."""

    layers: Sequence[Stage]
    activations: Sequence[Stage]  # one fewer: the last group has none

    def __call__(self, x: FloatArray) -> FloatArray:
        """Append group after group, and return the last one."""
        for layer, activation in zip(self.layers[:-1], self.activations, strict=True):
            x = np.concatenate([x, activation(layer(x))], axis=-1)
        return self.layers[-1](x)

    def dense(self) -> list[Dense]:
        """Return the layers of all groups."""
        return [dense for layer in self.layers for dense in layer.dense()]

    def take(self, rows: IndexArray) -> Skipping:
        """Return a stage with copies of the candidates ``rows``."""
        return Skipping(
            [layer.take(rows) for layer in self.layers],
            [activation.take(rows) for activation in self.activations],
        )

    def put(self, position: int, source: Stage, row: int) -> None:
        """Overwrite one candidate."""
        if isinstance(source, Skipping):
            mine = [*self.layers, *self.activations]
            for target, other in zip(mine, [*source.layers, *source.activations], strict=True):
                target.put(position, other, row)
