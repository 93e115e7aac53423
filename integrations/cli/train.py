"""``structured-layers train``: search a compact policy for an environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..evotorch.run import Run
from ..evotorch.run_config import ControllerName, RunConfig, Structure
from .options import Count, Number, optional
from .session import check_interval, train_in_session


@dataclass(frozen=True)
class Train:
    """Train a compact policy with an evolution strategy, its structure searched alongside.

    Ctrl-C finishes the generation, saves and exits with 130; `resume` goes on.
    """

    env: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """Gymnasium id, for example HalfCheetah-v5. Swimmer, HalfCheetah, Hopper and Walker2d -v5 run
    at the speed of MuJoCo itself."""
    structure: Structure = "chromatic"
    """How weights are saved: dense saves none, toeplitz and circulant share along diagonals,
    chromatic searches which edges share a weight, edges searches which edges exist."""
    hidden: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")] = (32,)
    """Sizes of the hidden layers; 0 is a linear policy."""
    num_colors: Annotated[int | None, optional("N", "max(observations, actions)")] = None
    """Shared weights of a chromatic network."""
    num_edges: Annotated[int | None, optional("N", "64")] = None
    """Edges that stay with --structure edges."""
    controller: Annotated[
        ControllerName | None,
        optional("{regularized-evolution,random,fixed}", "regularized-evolution"),
    ] = None
    """Who proposes structures, for chromatic and edges."""
    controller_population: Annotated[int | None, optional("N", "100, fixed: 301")] = None
    """Queue of regularized-evolution, or size of the fixed population."""
    output_bias: bool = False
    """Whether outputs have biases."""
    total_steps: Count = 4_000_000
    """Environment steps to train for."""
    seed: Count = 0
    """Seed of everything."""
    num_actors: Count = 0
    """Processes that simulate; 0 stays in this one. Results do not depend on it."""
    out: Annotated[Path | None, optional("RUN", "runs/ENV-STRUCTURE-SEED")] = None
    """Folder of the run."""
    popsize: Count = RunConfig.popsize
    """Perturbed candidates per generation, an even number."""
    center_evaluations: Count = RunConfig.center_evaluations
    """Evaluations of the centre per generation, on top of the population."""
    stdev: Number = RunConfig.stdev
    """Standard deviation of the perturbations."""
    learning_rate: Number = RunConfig.learning_rate
    """Step size of the optimizer."""
    optimizer: Literal["adam", "sgd", "clipup"] = "adam"
    """EvoTorch's optimizer."""
    ranking_method: Literal["raw", "centered", "std"] = "std"
    """Fitnesses as they are, as centred ranks, or divided by their standard deviation."""
    observation_normalization: bool = True
    """Whether observations are centred and scaled by running statistics."""
    num_episodes: Count = 1
    """Episodes per candidate."""
    checkpoint_every: Count = 10
    """Generations between two checkpoints."""

    def run(self) -> int:
        """Train, report, and return the exit code."""
        check_interval(self.checkpoint_every)
        config = self._config()
        default = Path("runs") / re.sub(r"[/:]", "-", f"{self.env}-{self.structure}-{self.seed}")
        run = Run.create(self.out or default, config, num_actors=self.num_actors)
        return train_in_session(run, checkpoint_every=self.checkpoint_every)

    def _config(self) -> RunConfig:
        return RunConfig(
            env=self.env,
            structure=self.structure,
            hidden=() if self.hidden == (0,) else self.hidden,
            num_colors=self.num_colors,
            num_edges=self.num_edges,
            controller=self.controller,
            controller_population=self.controller_population,
            output_bias=self.output_bias,
            total_steps=self.total_steps,
            seed=self.seed,
            popsize=self.popsize,
            center_evaluations=self.center_evaluations,
            stdev=self.stdev,
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
            ranking_method=self.ranking_method,
            observation_normalization=self.observation_normalization,
            num_episodes=self.num_episodes,
        )
