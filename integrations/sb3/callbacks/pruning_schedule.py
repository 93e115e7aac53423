"""How many edges survive at which step, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ....errors import StructuredLayersError
from ..setting_checks import check_integer_

Masks = dict[str, Tensor]


@dataclass(frozen=True)
class CubicSchedule:
    r"""The number of edges as a cubic function of the step.

    .. math:: n_t = n_f + (n_i - n_f) \Big(1 - \frac{t - t_0}{t_1 - t_0}\Big)^3

    It depends on the step alone, so that a resumed training goes on where it was.

    Attributes:
        start: the step t₀ of the first pruning.
        end: the step t₁ of the last one.
        frequency: steps between two prunings.

    Examples:
        >>> schedule = CubicSchedule(start=100, end=200, frequency=50)
        >>> [schedule.num_edges(step, 1000, 200) for step in (0, 100, 149, 150, 200)]
        [1000, 1000, 1000, 300, 200]

    Reference:
        Zhu & Gupta, To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model
        Compression, 2017, equation 1.
    """

    start: int
    end: int
    frequency: int

    def __post_init__(self) -> None:
        """Check that there is time to prune in."""
        for name, least in (("start", 0), ("end", 1), ("frequency", 1)):
            check_integer_(self, name, least)
        if not self.start < self.end:
            raise StructuredLayersError(
                f"a schedule needs start < end, got start={self.start} and end={self.end}"
            )

    def last_pruning(self, step: int) -> int | None:
        """Return the step of the last pruning that is due at a step, None before the first."""
        if step < self.start:
            return None
        if step >= self.end:
            return self.end
        return step - (step - self.start) % self.frequency

    def num_edges(self, step: int, initial: int, final: int) -> int:
        """Return how many edges survive at a step, out of ``initial`` ones."""
        pruned_at = self.last_pruning(step)
        if pruned_at is None:
            return initial
        left = 1 - (pruned_at - self.start) / (self.end - self.start)
        return round(final + (initial - final) * left**3)  # eq. 1


def keep_largest(
    values: Mapping[str, Tensor], masks: Mapping[str, Tensor], num_edges: int
) -> Masks:
    """Return masks of the edges of largest absolute value over all layers of a network.

    Only edges that are there survive, and each layer keeps the largest one it has, since a layer
    without edges cuts the network in two.

    Args:
        values: the value of each edge, by layer.
        masks: bool, the edges that are there; shaped as the values.
        num_edges: how many survive in all; not below the number of layers.

    Examples:
        >>> values = {"a": torch.tensor([[1.0, -4.0]]), "b": torch.tensor([[0.1, 0.2]])}
        >>> masks = {name: torch.ones(1, 2, dtype=torch.bool) for name in values}
        >>> keep_largest(values, masks, 3)
        {'a': tensor([[True, True]]), 'b': tensor([[False,  True]])}
    """
    scores = []
    for name, mask in masks.items():
        score = values[name].detach().abs().double().masked_fill(~mask, -1.0).flatten().cpu()
        if bool(mask.any()):
            score[score.argmax()] = torch.inf
        scores.append(score)
    order = torch.cat(scores).argsort(descending=True, stable=True)
    kept = torch.zeros(len(order), dtype=torch.bool)
    kept[order[:num_edges]] = True
    parts = torch.split(kept, [len(score) for score in scores])
    return {
        name: part.view(mask.shape).to(mask.device) & mask
        for (name, mask), part in zip(masks.items(), parts, strict=True)
    }
