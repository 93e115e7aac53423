"""What a generation's episodes mean for the search, failures among them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structured_layers.errors import EvaluationError

from .rollouts import Rollouts

MAX_FAILED_SHARE = 0.4
"""Above this share of failed candidates a generation says nothing and the search stops."""


def check_failures(rollouts: Rollouts, generation: int) -> None:
    """Stop a search whose candidates fail.

    Args:
        rollouts: of all candidates.
        generation: their generation, for the message.

    Raises:
        EvaluationError: over 40 % failed.
    """
    failed = int(rollouts.failed.sum())
    if failed > MAX_FAILED_SHARE * len(rollouts.failed):
        raise EvaluationError(
            f"{failed} of {len(rollouts.failed)} candidates failed in generation {generation} "
            f"(more than {MAX_FAILED_SHARE:.0%}); the last failure was: {rollouts.error}"
        )


def fitness_and_data(
    rollouts: Rollouts, *, num_episodes: int, alive_bonus: bool
) -> tuple[Tensor, Tensor]:
    """Return fitnesses (n,) and data (n, 3); a failed candidate gets the worst of the rest.

    Args:
        rollouts: of all candidates, at least one of which did not fail.
        num_episodes: over which returns are averaged.
        alive_bonus: whether fitnesses contain the reward for being alive; the data's first column
            always does.
    """
    full = (rollouts.rewards + rollouts.alive_bonus) / num_episodes
    fitness = full if alive_bonus else rollouts.rewards / num_episodes
    failed = rollouts.failed
    fitness = np.where(failed, np.min(fitness[~failed]), fitness)
    full = np.where(failed, np.min(full[~failed]), full)
    data = np.stack([full, rollouts.steps, failed], axis=1)
    return (
        torch.from_numpy(fitness).to(torch.float32),
        torch.from_numpy(data).to(torch.float32),
    )
