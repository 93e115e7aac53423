"""``structured-layers train``: search a compact policy for an environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..evotorch.presets import Preset, preset_settings
from ..evotorch.run import Run
from ..evotorch.run_config import (
    BaselineName,
    ControllerName,
    DirectionsName,
    EstimatorName,
    OptimizerName,
    RankingName,
    RunConfig,
    ScheduleName,
    Structure,
    TopRule,
)
from .options import (
    Count,
    EnvConfig,
    Number,
    Preferred,
    WorkerOptions,
    optional,
    parse_env_config,
)
from .session import check_interval, train_in_session


@dataclass(frozen=True)
class Train(WorkerOptions):
    """Train a compact policy with an evolution strategy, its structure searched alongside.

    Ctrl-C finishes the generation, saves and exits with 130; `resume` goes on.
    """

    env: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """Gymnasium id, for example HalfCheetah-v5. The MuJoCo tasks of the papers run at the speed of
    MuJoCo itself."""
    env_config: EnvConfig = None
    """Arguments of the environment's constructor as a JSON object, for example
    '{"forward_reward_weight": 2.0}'."""
    preset: Annotated[
        Preset | None,
        optional("{ars-v1,ars-v1-t,ars-v2,ars-v2-t,stst,stst-hadamard,stun,unun}", "none"),
    ] = None
    """A published search: augmented random search, or structured evolution. It sets the defaults
    of the options below that it needs, and refuses those that would make another search of it."""
    structure: Annotated[
        Structure | None, optional("{dense,toeplitz,circulant,chromatic,edges}", "chromatic")
    ] = None
    """How weights are saved: dense saves none, toeplitz and circulant share along diagonals,
    chromatic searches which edges share a weight, edges searches which edges exist."""
    hidden: Annotated[tuple[int, ...] | None, optional("N [N ...]", "32")] = None
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
    out: Annotated[Path | None, optional("RUN", "runs/ENV-STRUCTURE-SEED")] = None
    """Folder of the run."""
    popsize: Annotated[int | None, optional("N", "100")] = None
    """Perturbed candidates per generation, an even number for antithetic pairs."""
    center_evaluations: Annotated[int | None, optional("N", "10")] = None
    """Evaluations of the centre per generation, on top of the population."""
    stdev: Annotated[float | None, optional("X", "0.1")] = None
    """Standard deviation of the perturbations; ARS calls it noise, ν."""
    learning_rate: Annotated[float | None, optional("X", "0.05")] = None
    """Step size of the optimizer; with an ARS preset its α, the step size as published."""
    optimizer: Annotated[OptimizerName | None, optional("{adam,sgd,clipup,cmaes}", "adam")] = None
    """EvoTorch's optimizers, or CMA-ES in their place."""
    ranking_method: Annotated[RankingName | None, optional("{raw,centered,std}", "std")] = None
    """Fitnesses as they are, as centred ranks, or divided by their standard deviation."""
    estimator: EstimatorName = RunConfig.estimator
    """Of the gradient: pairs of opposite signs, differences to the centre, or single values."""
    directions: Annotated[
        DirectionsName | None, optional("{gaussian,orthogonal,hadamard,coordinate}", "gaussian")
    ] = None
    """Directions of the perturbations."""
    num_top: Annotated[int | None, optional("N", "all")] = None
    """How many pairs a step follows."""
    top_rule: TopRule = RunConfig.top_rule
    """Which pairs: by their better fitness, or by the difference of the two."""
    baseline: Annotated[BaselineName | None, optional("{mean,structure}", "none")] = None
    """What is learned and subtracted from fitnesses: their mean, or the effect of the structure."""
    slope: bool = RunConfig.slope
    """Whether past estimates of the gradient serve as a control variate."""
    weight_decay: Number = RunConfig.weight_decay
    """Share of the weights that a step takes away, times the learning rate."""
    learning_rate_schedule: ScheduleName = RunConfig.learning_rate_schedule
    """How the learning rate changes over the environment steps."""
    learning_rate_final: Number = RunConfig.learning_rate_final
    """Factor on the learning rate at the end of its schedule."""
    stdev_schedule: ScheduleName = RunConfig.stdev_schedule
    """How the standard deviation changes over the environment steps."""
    stdev_final: Number = RunConfig.stdev_final
    """Factor on the standard deviation at the end of its schedule."""
    observation_normalization: Annotated[Preferred, optional(None, "on")] = None
    """Whether observations are centred and scaled by running statistics."""
    alive_bonus: Annotated[Preferred, optional(None, "off")] = None
    """Whether the search is paid for being alive; reports always are."""
    zero_init: Annotated[Preferred, optional(None, "off")] = None
    """Whether the weights start at zero."""
    num_episodes: Count = 1
    """Episodes per candidate."""
    checkpoint_every: Count = 10
    """Generations between two checkpoints."""

    def run(self) -> int:
        """Train, report, and return the exit code."""
        check_interval(self.checkpoint_every)
        config = self._config()
        name = f"{self.env}-{self.preset or config.structure}-{self.seed}"
        default = Path("runs") / re.sub(r"[/:]", "-", name)
        run = Run.create(self.out or default, config, **self.workers())
        return train_in_session(run, checkpoint_every=self.checkpoint_every)

    def _config(self) -> RunConfig:
        names = [field.name for field in fields(RunConfig)]
        asked: dict[str, Any] = {n: v for n in names if (v := getattr(self, n)) is not None}
        asked["env_config"] = parse_env_config(self.env_config)
        if asked.get("hidden") == (0,):
            asked["hidden"] = ()
        if self.preset is not None:
            asked = preset_settings(self.preset, self.env, asked)
        return RunConfig(**asked)
