"""``structured-layers evaluate``: the return of a policy over fresh episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rich.console import Console

from structured_layers.policy import load_policy

from ..evotorch.evaluation import evaluate_policy
from .options import Count, EnvConfig, RunFolder, optional, parse_env_config


@dataclass(frozen=True)
class Evaluate:
    """Run the policy of a run in its environment and report its return, alive bonus included."""

    folder: RunFolder
    """Folder of the run."""
    episodes: Count = 20
    """How many fresh episodes."""
    env: Annotated[str | None, optional("ENV", "where it was trained")] = None
    """Another environment of the same spaces."""
    env_config: EnvConfig = None
    """Other arguments of the environment's constructor, as a JSON object."""
    seed: Count = 0
    """Seed of the episodes; they never coincide with those of the training."""

    def run(self) -> int:
        """Print mean, standard deviation, minimum and maximum; return the exit code."""
        policy = load_policy(self.folder)
        returns = evaluate_policy(
            policy,
            self.env,
            env_config=None if self.env_config is None else parse_env_config(self.env_config),
            num_episodes=self.episodes,
            seed=self.seed,
        )
        Console().print(
            f"{self.env or policy.env}: return {returns.mean():.1f} ± {returns.std():.1f} "
            f"(min {returns.min():.1f}, max {returns.max():.1f}) over {len(returns)} episodes",
            highlight=False,
        )
        return 0
