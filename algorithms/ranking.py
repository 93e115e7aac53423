"""How fitnesses are shaped before they weigh the directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def raw(fitnesses: Tensor) -> Tensor:
    """Return the fitnesses as they are."""
    return fitnesses


def centered(fitnesses: Tensor) -> Tensor:
    """Return centred ranks in [−1/2, 1/2]; equal fitnesses share the mean of their ranks."""
    ordered = fitnesses.sort().values
    first = torch.searchsorted(ordered, fitnesses, right=False)
    last = torch.searchsorted(ordered, fitnesses, right=True) - 1
    return ((first + last) / 2 / (len(fitnesses) - 1) - 0.5).to(fitnesses.dtype)


def std(fitnesses: Tensor) -> Tensor:
    """Return the fitnesses divided by their standard deviation; zeros if they are all equal.

    Reference:
        Mania, Guy, Recht, 2018 (arXiv 1803.07055), Algorithm 1: the update is divided by σ_R.
    """
    if bool((fitnesses == fitnesses[0]).all()):  # rounding would leave them a deviation
        return torch.zeros_like(fitnesses)
    exact = fitnesses.double()  # in single precision the sum of large numbers overflows
    return (exact / exact.std(correction=0)).to(fitnesses.dtype)


RANKING_METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "raw": raw,
    "centered": centered,
    "std": std,
}
