"""Which mirrored pairs a step follows: all of them, or the best few."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def by_maximum(values_plus: Tensor, values_minus: Tensor) -> Tensor:
    """Return max(f_i⁺, f_i⁻), the rule of ARS.

    Reference:
        Mania, Guy, Recht, 2018 (arXiv 1803.07055), Algorithm 2, line 5.
    """
    return torch.maximum(values_plus, values_minus)


def by_difference(values_plus: Tensor, values_minus: Tensor) -> Tensor:
    """Return |f_i⁺ − f_i⁻|: the pairs that say most about the slope."""
    return (values_plus - values_minus).abs()


TOP_RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "max": by_maximum,
    "difference": by_difference,
}


def top_directions(
    values_plus: Tensor, values_minus: Tensor, num_top: int, rule: str = "max"
) -> Tensor:
    """Return the ``num_top`` pairs of the highest score, in ascending order of their number.

    Of equal scores the first come first.

    Examples:
        >>> plus, minus = torch.tensor([0.0, 5.0, 2.0]), torch.tensor([4.0, 5.0, -3.0])
        >>> top_directions(plus, minus, 2), top_directions(plus, minus, 2, "difference")
        (tensor([0, 1]), tensor([0, 2]))
    """
    scores = TOP_RULES[rule](values_plus, values_minus)
    order = scores.sort(descending=True, stable=True).indices
    return order[:num_top].sort().values
