"""The settings of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from structured_layers.algorithms.schedules import check_schedule
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.policy import check_env_config

from .run_checks import check_controller, check_start
from .run_structure import SEARCHED, WHERE_SEARCHED, check_structure
from .run_variants import check_variants
from .setting_types import check_types

Structure = Literal["dense", "toeplitz", "circulant", "chromatic", "edges", "edge-mask"]
ControllerName = Literal[
    "regularized-evolution",
    "policy-gradient",
    "random",
    "fixed",
    "local-search",
    "latent",
    "magnitude",
]
AlgorithmName = Literal["reinforce", "ppo"]
OptimizerName = Literal["adam", "sgd", "clipup", "cmaes"]
RankingName = Literal["raw", "centered", "std"]
EstimatorName = Literal["antithetic", "forward", "vanilla"]
DirectionsName = Literal["gaussian", "orthogonal", "hadamard", "coordinate"]
TopRule = Literal["max", "difference"]
BaselineName = Literal["mean", "structure"]
CostName = Literal["edges", "bits", "multiplications"]
CenterStructures = Literal["best", "sampled"]
ScheduleName = Literal["constant", "linear", "cosine", "exponential"]


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes.

    Attributes:
        env: Gymnasium id.
        env_config: arguments of the environment's constructor, plain JSON values.
        structure: how weights are shared or dropped.
        hidden: sizes of the hidden layers; none is a linear policy.
        num_colors: size of the palette; None is max(observations, actions) for chromatic, and edges
            without colours for edge-mask.
        num_edges: edges that stay; None is 64 for edges, and all of them for chromatic.
        edges_per_layer: edges that stay of each layer, in the place of num_edges.
        skip: whether edges may skip layers.
        unit_activations: names of the non-linearities of which each hidden unit is given one; None
            is tanh for all.
        controller: who proposes structures (chromatic and edges only); None is regularised
            evolution.
        controller_population: queue of regularised evolution, or size of the fixed population;
            None is the controller's own default.
        controller_algorithm: of the policy gradient; None is ppo.
        num_mutations: of a candidate of the local search, 0 holds the structure; None is 1.
        num_observed: objectives of a generation that the controller sees, chosen at random; None is
            all.
        phase_length: generations in which structures are held before the controller sees the best
            return of each; None is every generation's own returns.
        num_elites: pairs of a generation, or candidates without pairs, with the controller's best.
        paired_structures: whether both signs of a pair share their structure.
        center_structures: what the forward estimator compares with, the centre under the best
            structure or under sampled ones, which are evaluated besides.
        cost: of a structure; a Pareto archive of return and cost is kept.
        cost_weight: makes the controller's objective the return less so much times the cost.
        cost_limit: lets the controller prefer every structure within this cost to any beyond.
        target_edges: makes the controller's objective f·(edges / target)^ω.
        target_exponents: ω below the target and above it; None is 0 and −1.
        objective_shift: added to f there.
        init_topologies: a run whose best structures are held by the fixed controller.
        top: how many of them; None is 5.
        init_from: a trained policy that the search starts at; None starts at random.
        init_vecnormalize: the statistics beside a policy of Stable-Baselines3.
        dense_steps: environment steps in which the run first trains the dense network that a local
            search then starts at, counted in ``total_steps``. Schedules run over each phase.
        dense_share: share of the edges that are left at the end of the dense phase of a chromatic
            network; of one of edges there are num_edges.
        output_bias: whether the last layer has biases.
        total_steps: environment steps after which the run ends, centre evaluations included.
        seed: of everything.
        popsize: perturbed candidates per generation.
        center_evaluations: evaluations of the centre per generation, on top.
        stdev: σ of the perturbations.
        learning_rate: of the optimizer.
        optimizer: EvoTorch's adam, sgd or clipup, or cmaes, which takes only popsize and stdev.
        ranking_method: how fitnesses weigh the perturbations.
        observation_normalization: whether observations are centred and scaled.
        num_episodes: per candidate.
        estimator: of the gradient.
        directions: of the perturbations.
        num_top: pairs that a step follows; None is all.
        top_rule: which pairs these are.
        baseline: what is subtracted from fitnesses; "structure" for chromatic and edges only.
        slope: whether past estimates serve as a control variate.
        weight_decay: λ in θ ← (1 − ηλ)θ + step.
        learning_rate_schedule: of the step size, over the environment steps of the run.
        learning_rate_final: factor on the step size at the end.
        stdev_schedule: of σ.
        stdev_final: factor on σ at the end.
        alive_bonus: whether fitnesses contain the reward for being alive; reports always do.
        zero_init: whether the search starts at zero instead of the network's own initialisation.
    """

    env: str
    structure: Structure = "chromatic"
    hidden: tuple[int, ...] = (32,)
    num_colors: int | None = None
    num_edges: int | None = None
    edges_per_layer: tuple[int, ...] | None = None
    skip: bool = False
    unit_activations: tuple[str, ...] | None = None
    controller: ControllerName | None = None
    controller_population: int | None = None
    controller_algorithm: AlgorithmName | None = None
    num_mutations: int | None = None
    num_observed: int | None = None
    phase_length: int | None = None
    num_elites: int = 0
    paired_structures: bool = False
    center_structures: CenterStructures = "best"
    cost: CostName | None = None
    cost_weight: float | None = None
    cost_limit: float | None = None
    target_edges: int | None = None
    target_exponents: tuple[float, ...] | None = None
    objective_shift: float = 0.0
    init_topologies: str | None = None
    top: int | None = None
    init_from: str | None = None
    init_vecnormalize: str | None = None
    dense_steps: int = 0
    dense_share: float = 1.0
    output_bias: bool = False
    total_steps: int = 4_000_000
    seed: int = 0
    popsize: int = 100
    center_evaluations: int = 10
    stdev: float = 0.1
    learning_rate: float = 0.05
    optimizer: OptimizerName = "adam"
    ranking_method: RankingName = "std"
    observation_normalization: bool = True
    num_episodes: int = 1
    estimator: EstimatorName = "antithetic"
    directions: DirectionsName = "gaussian"
    num_top: int | None = None
    top_rule: TopRule = "max"
    baseline: BaselineName | None = None
    slope: bool = False
    weight_decay: float = 0.0
    learning_rate_schedule: ScheduleName = "constant"
    learning_rate_final: float = 0.1
    stdev_schedule: ScheduleName = "constant"
    stdev_final: float = 0.1
    alive_bonus: bool = False
    zero_init: bool = False
    env_config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse settings that are impossible, and those that others would leave without use."""
        self._check_structure()
        self._check_numbers()
        self._check_schedules()
        self._check_baseline()
        check_start(self)
        check_variants(self)
        check_env_config(self.env_config)
        if self.top_rule != "max" and self.num_top is None:
            raise StructuredLayersError(
                f"top_rule {self.top_rule} goes with num_top: a step along all pairs chooses none"
            )
        if self.optimizer == "cmaes":
            self._check_nothing_is_ignored()

    @property
    def is_searched(self) -> bool:
        """Whether structures are proposed by a controller."""
        return self.structure in SEARCHED or self.unit_activations is not None

    def _check_structure(self) -> None:
        for name, value, known in (
            ("structure", self.structure, get_args(Structure)),
            ("controller", self.controller, (None, *get_args(ControllerName))),
            ("controller_algorithm", self.controller_algorithm, (None, *get_args(AlgorithmName))),
            ("center_structures", self.center_structures, get_args(CenterStructures)),
            ("cost", self.cost, (None, *get_args(CostName))),
        ):
            if value not in known:
                raise StructuredLayersError(
                    f"{name} must be one of {', '.join(filter(None, known))}, got {value!r}"
                )
        check_structure(self)
        check_controller(self)

    def _check_numbers(self) -> None:
        if any(size < 1 for size in self.hidden):
            raise StructuredLayersError(
                f"hidden sizes must be at least 1, and none makes a linear policy, got "
                f"{list(self.hidden)}"
            )
        if self.total_steps < 1:
            raise StructuredLayersError(f"total_steps must be at least 1, got {self.total_steps}")
        if self.center_evaluations < 1:
            raise StructuredLayersError(
                f"center_evaluations must be at least 1, since a run reports its centre, got "
                f"{self.center_evaluations}"
            )
        if self.seed < 0:
            raise StructuredLayersError(f"seed must be at least 0, got {self.seed}")

    def _check_schedules(self) -> None:
        for name in ("learning_rate", "stdev"):
            schedule, final = getattr(self, f"{name}_schedule"), getattr(self, f"{name}_final")
            check_schedule(schedule, final)
            if schedule == "constant" and final != getattr(type(self), f"{name}_final"):
                raise StructuredLayersError(
                    f"{name}_final goes with {name}_schedule linear, cosine or exponential, got "
                    f"{name}_final {final} and {name}_schedule constant"
                )

    def _check_baseline(self) -> None:
        if self.baseline == "structure" and not self.is_searched:
            raise StructuredLayersError(
                f"baseline structure goes with structure {WHERE_SEARCHED}, got structure "
                f"{self.structure}; take baseline mean"
            )
        if self.baseline == "mean" and self.is_searched:
            raise StructuredLayersError(
                f"baseline mean goes with structure dense, toeplitz or circulant without "
                f"unit_activations, got structure {self.structure}; take baseline structure, which "
                f"learns the mean as well"
            )

    def _check_nothing_is_ignored(self) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        ignored = [name for name in _SENSING if getattr(self, name) != defaults[name]]
        if ignored:
            raise StructuredLayersError(
                f"optimizer cmaes takes popsize and stdev only, got {', '.join(ignored)} too"
            )

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain JSON values."""
        data = asdict(self)
        return data | {name: list(data[name]) for name in _TUPLES if data[name] is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunConfig:
        """Return the settings that :meth:`to_json` described.

        Raises:
            CheckpointError: unknown or missing settings, or some of the wrong type.
            StructuredLayersError: settings that do not go together.
        """
        known = {field.name for field in fields(cls)}
        if data.keys() != known:
            raise CheckpointError(
                f"a run's settings are {sorted(known)}, this file differs in "
                f"{sorted(known ^ data.keys())}"
            )
        check_types(data)
        return cls(**data | {n: tuple(data[n]) for n in _TUPLES if data[n] is not None})


_TUPLES = ("hidden", "edges_per_layer", "unit_activations", "target_exponents")
_SENSING = (
    "learning_rate",
    "ranking_method",
    "estimator",
    "directions",
    "num_top",
    "top_rule",
    "slope",
    "weight_decay",
    "learning_rate_schedule",
    "stdev_schedule",
)
