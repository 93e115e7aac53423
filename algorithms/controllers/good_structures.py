"""A memory of good structures, to be proposed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError


def row_keys(decisions: Tensor) -> list[bytes]:
    """Return the bytes of each row (n, K), which tell whether two structures are equal."""
    rows = decisions.contiguous().numpy()
    return [row.tobytes() for row in rows]


def distinct_rows(decisions: Tensor) -> Tensor:
    """Return the different rows (m, K) of (n, K), in the order of their first appearance."""
    first = {key: row for row, key in reversed(list(enumerate(row_keys(decisions))))}
    return decisions[sorted(first.values())]


class GoodStructures:
    """The structures of the highest moving averages of their objectives.

    A structure is remembered for its average alone, lucky ones included. The best one is among
    those that were seen again, if any was, so that luck does not decide.

    Args:
        num_decisions: K.
        size: how many are kept, at least 1.
        decay: of the moving averages, in [0, 1): what a structure reached last weighs 1 − decay.
    """

    def __init__(self, num_decisions: int, *, size: int = 32, decay: float = 0.8) -> None:
        """Start empty."""
        if not 0 <= decay < 1:
            raise StructuredLayersError(f"decay must be in [0, 1), got {decay}")
        self.size, self.decay = size, decay
        self.members = torch.empty(0, num_decisions, dtype=torch.int64)
        self.scores = torch.empty(0, dtype=torch.float64)  # descending
        self.counts = torch.empty(0, dtype=torch.int64)  # how often each was seen

    def __len__(self) -> int:
        """Return how many are known, ``size`` at most."""
        return len(self.members)

    def observe(self, decisions: Tensor, objectives: Tensor) -> None:
        """Take (n, K) and (n,) into the averages, and forget what is no longer among the best."""
        rows = torch.cat([self.members, decisions])
        known = row_keys(self.members)
        scores = dict(zip(known, self.scores.tolist(), strict=True))
        counts = Counter(dict(zip(known, self.counts.tolist(), strict=True)))
        first = {key: i for i, key in reversed(list(enumerate(row_keys(rows))))}
        for key, objective in zip(row_keys(decisions), objectives.tolist(), strict=True):
            old = scores.get(key, objective)
            scores[key] = self.decay * old + (1 - self.decay) * objective
            counts[key] += 1
        ranked = sorted(first, key=lambda key: (-scores[key], first[key]))[: self.size]
        self.members = rows[[first[key] for key in ranked]]
        self.scores = torch.tensor([scores[key] for key in ranked], dtype=torch.float64)
        self.counts = torch.tensor([counts[key] for key in ranked])

    def best(self) -> Tensor:
        """Return the structure (K,) of the highest average, seen twice if any was."""
        again = self.counts > 1
        scores = self.scores.where(again, -torch.inf) if bool(again.any()) else self.scores
        return self.members[int(scores.argmax())].clone()

    def mix_in(self, proposals: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """Return the proposals (n, K) with a share of them, at random rows, replaced by members."""
        number = min(round(share * len(proposals)), len(self))
        if not number:
            return proposals
        rows = torch.randperm(len(proposals), generator=generator)[:number]
        chosen = torch.randperm(len(self), generator=generator)[:number]
        mixed = proposals.clone()
        mixed[rows] = self.members[chosen]
        return mixed

    def state_dict(self) -> dict[str, Any]:
        """Return the members and their averages."""
        return {
            "members": self.members,
            "scores": self.scores,
            "counts": self.counts,
        }  # replaced, never written to

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.members, self.scores = state["members"], state["scores"]
        self.counts = state["counts"]


def check_share(name: str, share: float) -> None:
    """Raise StructuredLayersError unless a share of proposals is in [0, 1)."""
    if not 0 <= share < 1:
        raise StructuredLayersError(f"{name} must be in [0, 1), got {share}")
