"""Rollouts for the learners of a portfolio, by upper confidence bounds.

After Khadka et al., Collaborative evolutionary reinforcement learning (arXiv 1905.00976).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..saved_states import check_kind


class UCBAllocation:
    """Draws which learner acts next; those that do well, or were seldom asked, more often.

    Of learner i with value v_i, scaled to [0, 1] among all learners, after y_i rollouts the score
    is u_i = v_i + c·sqrt(log(Σ y) / y_i); learners are drawn with probabilities u / Σ u. A learner
    without a rollout comes first.

    Args:
        num_learners: at least 1.
        exploration: the factor c.
        memory: share of a learner's old value that the next return leaves.
        generator: of the draws.
    """

    def __init__(
        self,
        num_learners: int,
        *,
        exploration: float = 0.9,
        memory: float = 0.8,
        generator: torch.Generator,
    ) -> None:
        """Start without any rollout."""
        if num_learners < 1:
            raise StructuredLayersError(f"num_learners must be at least 1, got {num_learners}")
        if not 0 <= exploration < math.inf:
            raise StructuredLayersError(f"exploration must be at least 0, got {exploration!r}")
        if not 0 <= memory < 1:
            raise StructuredLayersError(f"memory must be in [0, 1), got {memory!r}")
        self.exploration, self.memory = float(exploration), float(memory)
        self.values = torch.full((num_learners,), math.nan, dtype=torch.float64)
        self.counts = torch.zeros(num_learners, dtype=torch.int64)
        self._generator = generator

    def draw(self) -> int:
        """Return the number of the learner that acts next."""
        unseen = torch.nonzero(self.counts == 0).flatten()
        if len(unseen):
            return int(unseen[0])
        return int(torch.multinomial(self.probabilities(), 1, generator=self._generator))

    def observe(self, learner: int, episode_return: float) -> None:
        """Take in the return of a rollout; one that is not finite counts as a rollout only."""
        self.counts[learner] += 1
        if not math.isfinite(episode_return):
            return
        old = float(self.values[learner])
        kept = 0.0 if math.isnan(old) else self.memory
        old = 0.0 if math.isnan(old) else old
        self.values[learner] = kept * old + (1 - kept) * episode_return

    def probabilities(self) -> Tensor:
        """Return with what probability each learner is drawn, (num_learners,)."""
        values = self.values.nan_to_num(nan=self._worst())
        spread = values.max() - values.min()
        scaled = (values - values.min()) / spread if spread > 0 else torch.ones_like(values)
        counts = self.counts.clamp(min=1)
        # u_i = v_i + c·sqrt(log(Σ y) / y_i); the logarithm of 1 is 0, and somebody has to act
        scores = scaled + self.exploration * torch.sqrt(counts.sum().log() / counts)
        if not scores.sum() > 0:
            scores = torch.ones_like(scores)
        return scores / scores.sum()

    def _worst(self) -> float:
        known = self.values[~self.values.isnan()]
        return float(known.min()) if len(known) else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return values and counts; the generator is its owner's."""
        return {
            "kind": self._kind(),
            "values": self.values.clone(),
            "counts": self.counts.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned.

        Raises:
            StructuredLayersError: it is of another portfolio.
        """
        check_kind("allocation", self._kind(), state.get("kind"))
        self.values, self.counts = state["values"].clone(), state["counts"].clone()

    def _kind(self) -> dict[str, Any]:
        return {
            "num_learners": len(self.counts),
            "exploration": self.exploration,
            "memory": self.memory,
        }
