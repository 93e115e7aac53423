"""The decisions of a space in runs of one kind, and where the values of each run lie in a table."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..search_spaces import SearchSpace

IMPOSSIBLE = -1e9  # finite, so that a probability of zero times it is zero and not NaN


class DecisionBlock(NamedTuple):
    """Neighbouring decisions that choose among the same values."""

    start: int  # first decision
    stop: int  # behind the last decision
    first_value: int  # row of value 0 in the table of all values
    num_values: int
    is_distinct: bool  # the decisions differ from each other and ascend

    @property
    def rows(self) -> slice:
        """Where the values of the block lie in the table."""
        return slice(self.first_value, self.first_value + self.num_values)

    @property
    def decisions(self) -> slice:
        """Where the decisions of the block lie in a structure."""
        return slice(self.start, self.stop)


def decision_blocks(space: SearchSpace) -> list[DecisionBlock]:
    """Return the blocks of a space in the order of its decisions."""
    choices = space.num_choices
    groups = {group.start: group.stop for group in space.distinct_groups}
    blocks: list[DecisionBlock] = []
    start = first_value = 0
    while start < space.num_decisions:
        num_values, is_distinct = int(choices[start]), start in groups
        if is_distinct:
            stop = groups[start]
        else:
            stop = start + 1
            while stop < len(choices) and stop not in groups and choices[stop] == num_values:
                stop += 1
        blocks.append(DecisionBlock(start, stop, first_value, num_values, is_distinct))
        start, first_value = stop, first_value + num_values
    return blocks


def completions(num_values: int, num_decisions: int) -> Tensor:
    """Return the logarithms of the numbers of ways to complete an ascending choice.

    Once decision k of K has taken value j of T, the K − 1 − k decisions behind it can be made in
    C(T − 1 − j, K − 1 − k) ways. A choice in proportion to these is uniform over all sets.

    Returns:
        (K, T), ``IMPOSSIBLE`` where there is no way.
    """
    behind = torch.arange(num_values - 1, -1, -1, dtype=torch.float64)  # larger values, (T,)
    missing = torch.arange(num_decisions - 1, -1, -1, dtype=torch.float64)[:, None]  # (K, 1)
    rest = behind - missing
    ways = (
        torch.lgamma(behind + 1) - torch.lgamma(missing + 1) - torch.lgamma(rest.clamp(min=0) + 1)
    )
    ways = ways - ways.where(rest >= 0, -math.inf).max(dim=1, keepdim=True).values
    return ways.where(rest >= 0, IMPOSSIBLE).float()
