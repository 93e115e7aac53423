"""Non-linearities that each unit of a layer has for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .base import check_size

# What exp, square and reciprocal return at most. Stacked, the plain functions leave the range of
# floating point after few layers.
LIMIT = 100.0
LARGEST_EXPONENT, LARGEST_ROOT, SMALLEST_DIVISOR = math.log(LIMIT), math.sqrt(LIMIT), 1 / LIMIT


def _exp(x: Tensor) -> Tensor:
    return torch.exp(x.clamp(max=LARGEST_EXPONENT))


def _square(x: Tensor) -> Tensor:
    return x.clamp(-LARGEST_ROOT, LARGEST_ROOT).square()


def _reciprocal(x: Tensor) -> Tensor:
    divisor = torch.where(x < 0, x.clamp(max=-SMALLEST_DIVISOR), x.clamp(min=SMALLEST_DIVISOR))
    return 1 / divisor


def _step(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": _exp,
    "identity": lambda x: x,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "abs": torch.abs,
    "cos": torch.cos,
    "square": _square,
    "reciprocal": _reciprocal,
    "step": _step,
}
KINDS = tuple(FUNCTIONS)


def unit_activations(input: Tensor, kinds: Tensor) -> Tensor:
    """Apply to every unit the non-linearity of its kind.

    Args:
        input: (*batch, num_features).
        kinds: positions in ``KINDS``, (num_features,) or any shape that broadcasts to the input's.

    Returns:
        (*batch, num_features).

    Examples:
        >>> unit_activations(torch.tensor([-2.0, -2.0]), torch.tensor([1, 6]))  # relu, abs
        tensor([0., 2.])
    """
    output = input
    for kind, function in enumerate(FUNCTIONS.values()):
        output = torch.where(kinds == kind, function(input), output)
    return output


@final
class UnitActivations(nn.Module):
    r"""Gives each unit a non-linearity of its own.

    .. math:: y_i = f_{k_i}(x_i)

    with f one of tanh, relu, exp, identity, sin, sigmoid, abs, cos, square, reciprocal, step. A
    policy must not return infinities, so exp, square and the size of reciprocal end at 100: exp is
    constant from log 100 on, square beyond ±10, and the divisor of reciprocal keeps its sign and is
    at least 0.01 in size, positive at 0. step is 1 above 0 and has no gradient.

    Args:
        num_features: size of the last dimension of the input.
        kinds: (num_features,) integers, the positions of the functions in the list above; tanh for
            all by default.
        device: where the kinds live.

    Shape:
        - Input: ``(*, num_features)``.
        - Output: the same.

    Attributes:
        kinds: ``(num_features,)`` int64 buffer.

    Raises:
        StructuredLayersError: if the kinds are no integers of the right number and range.

    Examples:
        >>> layer = UnitActivations(3, torch.tensor([0, 0, 8]))
        >>> layer
        UnitActivations(3, tanh=2, square=1)
        >>> layer(torch.tensor([[0.0, 0.0, 3.0]]))
        tensor([[0., 0., 9.]])

    Reference:
        Song et al., ES-ENAS, 2021; Gaier & Ha, Weight Agnostic Neural Networks, 2019.
    """

    topology_names: tuple[str, ...] = ("kinds",)
    kinds: Tensor

    def __init__(
        self,
        num_features: int,
        kinds: Tensor | None = None,
        *,
        device: torch.device | str | None = None,
    ) -> None:
        """Check and copy the kinds."""
        super().__init__()
        self.num_features = check_size("num_features", num_features)
        if kinds is None:
            kinds = torch.zeros(self.num_features, dtype=torch.int64, device=device)
        _check_kinds(kinds, self.num_features)
        self.register_buffer("kinds", kinds.to(device or kinds.device, torch.int64, copy=True))

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(*, num_features)`` to the same shape."""
        return unit_activations(input, self.kinds)

    def topology_range(self, name: str) -> range:
        """Return the positions in the list of functions."""
        if name != "kinds":
            raise StructuredLayersError(
                f"UnitActivations has no structure buffer {name!r}; it has ['kinds']"
            )
        return range(len(KINDS))

    def extra_repr(self) -> str:
        """Return the size and how often each function occurs."""
        if self.kinds.is_meta:
            return str(self.num_features)
        counts = torch.bincount(self.kinds.cpu(), minlength=len(KINDS)).tolist()
        used = [f"{name}={count}" for name, count in zip(KINDS, counts, strict=True) if count]
        return ", ".join([str(self.num_features), *used])


def _check_kinds(kinds: Tensor, num_features: int) -> None:
    if not isinstance(kinds, Tensor):
        raise StructuredLayersError(
            f"kinds must be an integer tensor of shape ({num_features},), "
            f"got a {type(kinds).__name__}"
        )
    is_integer = not (kinds.is_floating_point() or kinds.is_complex())
    if kinds.shape != (num_features,) or not is_integer or kinds.dtype == torch.bool:
        raise StructuredLayersError(
            f"kinds must be an integer tensor of shape ({num_features},), one for each unit, "
            f"got {kinds.dtype} of shape {tuple(kinds.shape)}"
        )
    low, high = (0, 0) if kinds.is_meta else (int(kinds.min()), int(kinds.max()))
    if low < 0 or high >= len(KINDS):
        raise StructuredLayersError(
            f"kinds must lie between 0 and {len(KINDS) - 1} ({', '.join(KINDS)}), "
            f"got {low} to {high}"
        )
