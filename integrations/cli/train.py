"""``structured-layers train``: search a compact policy for an environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from structured_layers.errors import StructuredLayersError
from structured_layers.layers.activations import KINDS

from ..evotorch.presets import Preset, preset_settings
from ..evotorch.run import Run
from ..evotorch.run_config import (
    AlgorithmName,
    BaselineName,
    CenterStructures,
    ControllerName,
    CostName,
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
        optional(
            "{ars-v1,ars-v1-t,ars-v2,ars-v2-t,clustered,stst,stst-hadamard,stun,unun}", "none"
        ),
    ] = None
    """A published search, augmented random search or structured evolution; or clustered, which
    trains a dense network, clusters its weights and trains on. It sets the defaults of the options
    below that it needs, and refuses those that would make another search of it."""
    structure: Annotated[
        Structure | None,
        optional("{dense,toeplitz,circulant,chromatic,edges,edge-mask}", "chromatic"),
    ] = None
    """How weights are saved: dense saves none, toeplitz and circulant share along diagonals,
    chromatic searches which edges share a weight, edges which ones of a fixed number exist,
    edge-mask which and how many exist."""
    hidden: Annotated[tuple[int, ...] | None, optional("N [N ...]", "32")] = None
    """Sizes of the hidden layers; 0 is a linear policy."""
    num_colors: Annotated[int | None, optional("N", "max(observations, actions)")] = None
    """Shared weights of a chromatic network, or of the edges of an edge-mask."""
    num_edges: Annotated[int | None, optional("N", "64, chromatic: all")] = None
    """Edges that stay, for edges and chromatic."""
    edges_per_layer: Annotated[tuple[int, ...] | None, optional("N [N ...]", "any")] = None
    """Edges that stay of each layer, in the place of --num-edges."""
    skip: bool = False
    """Whether edges may skip layers: a unit sees the observation and all layers before its own."""
    unit_activations: Annotated[
        tuple[str, ...] | None, optional("{all,KIND} [KIND ...]", "tanh for all, not searched")
    ] = None
    """Non-linearities of which each hidden unit is given one by the search: all, or some of tanh,
    relu, exp, identity, sin, sigmoid, abs, cos, square, reciprocal, step."""
    controller: Annotated[
        ControllerName | None,
        optional(
            "{regularized-evolution,policy-gradient,random,fixed,local-search,latent,magnitude}",
            "regularized-evolution",
        ),
    ] = None
    """Who proposes structures, where there is a choice."""
    controller_population: Annotated[int | None, optional("N", "100, fixed: 301")] = None
    """Queue of regularized-evolution, or size of the fixed population."""
    controller_algorithm: Annotated[AlgorithmName | None, optional("{reinforce,ppo}", "ppo")] = None
    """How policy-gradient learns."""
    num_mutations: Annotated[int | None, optional("N", "1")] = None
    """Changes that local-search, or regularized-evolution at most, makes at once; 0 holds the
    structure of local-search."""
    num_observed: Annotated[int | None, optional("K", "all")] = None
    """Objectives of a generation that the controller sees, chosen at random."""
    phase_length: Annotated[int | None, optional("T", "none")] = None
    """Generations in which structures are held; the controller then sees the best return that each
    came to. Without it, it sees every generation's own returns."""
    num_elites: Count = RunConfig.num_elites
    """Pairs of a generation that get the controller's best structure."""
    paired_structures: bool = RunConfig.paired_structures
    """Whether the two signs of a pair share their structure."""
    center_structures: CenterStructures = RunConfig.center_structures
    """What --estimator forward compares with: the centre with the controller's best structure, or
    the mean of the centre over sampled ones, which are evaluated besides."""
    cost: Annotated[CostName | None, optional("{edges,bits,multiplications}", "none")] = None
    """What a structure costs; pareto.csv then holds the front of return and cost."""
    cost_weight: Annotated[float | None, optional("X", "none")] = None
    """The controller pays so much return for one unit of the cost."""
    cost_limit: Annotated[float | None, optional("X", "none")] = None
    """The controller prefers every structure within this cost to any beyond it."""
    target_edges: Annotated[int | None, optional("N", "none")] = None
    """The controller's objective is return x (edges / N)^w, w = -1 above N and 0 below."""
    target_exponents: Annotated[tuple[float, ...] | None, optional("BELOW ABOVE", "0 -1")] = None
    """Other exponents w, below the target and above it."""
    objective_shift: Number = RunConfig.objective_shift
    """Added to the return in that objective, which means nothing for negative returns; 1000 in the
    code that the authors released."""
    init_topologies: Annotated[str | None, optional("RUN", "none")] = None
    """Run whose best structures are held, by --controller fixed, while weights are learned for
    them; its network must have the same shape, its environment need not be the same."""
    top: Annotated[int | None, optional("N", "5")] = None
    """How many structures of that run."""
    init_from: Annotated[str | None, optional("POLICY", "none")] = None
    """Trained policy that --controller local-search or latent starts at, its weights clustered, and
    magnitude with all of them: a run, a policy folder, or a zip of Stable-Baselines3, which is a
    pickle: open only those you trust."""
    init_vecnormalize: Annotated[str | None, optional("STATS.PKL", "none")] = None
    """What VecNormalize.save wrote beside that zip."""
    dense_steps: Annotated[int | None, optional("N", "0; preset clustered: two thirds of all")] = (
        None
    )
    """Steps, of the total, in which the dense network is trained that the search then starts at."""
    dense_share: Annotated[float | None, optional("X", "1")] = None
    """Share of the edges that are left at the end of that phase, for chromatic."""
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
    learning_rate_schedule: Annotated[
        ScheduleName | None, optional("{constant,linear,cosine,exponential}", "constant")
    ] = None
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
        if "all" in asked.get("unit_activations", ()):
            asked["unit_activations"] = _all_kinds(asked["unit_activations"])
        if self.init_topologies is not None:
            asked.setdefault("controller", "fixed")
        if self.preset is not None:
            asked = preset_settings(self.preset, self.env, asked)
        return RunConfig(**asked)


def _all_kinds(given: tuple[str, ...]) -> tuple[str, ...]:
    if len(given) > 1:
        raise StructuredLayersError(
            f"--unit-activations all stands alone, since it is every one of them, got "
            f"{' '.join(given)}"
        )
    return KINDS
