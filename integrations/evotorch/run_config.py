"""The settings of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args

from structured_layers.algorithms.schedules import check_schedule
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.policy import check_env_config

Structure = Literal["dense", "toeplitz", "circulant", "chromatic", "edges"]
ControllerName = Literal["regularized-evolution", "random", "fixed"]
OptimizerName = Literal["adam", "sgd", "clipup", "cmaes"]
RankingName = Literal["raw", "centered", "std"]
EstimatorName = Literal["antithetic", "forward", "vanilla"]
DirectionsName = Literal["gaussian", "orthogonal", "hadamard", "coordinate"]
TopRule = Literal["max", "difference"]
BaselineName = Literal["mean", "structure"]
ScheduleName = Literal["constant", "linear", "cosine", "exponential"]


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes.

    Attributes:
        env: Gymnasium id.
        env_config: arguments of the environment's constructor, plain JSON values.
        structure: how weights are shared or dropped.
        hidden: sizes of the hidden layers; none is a linear policy.
        num_colors: size of the palette (chromatic only); None is max(observations, actions).
        num_edges: edges that stay (edges only); None is 64.
        controller: who proposes structures (chromatic and edges only); None is regularised
            evolution.
        controller_population: queue of regularised evolution, or size of the fixed population;
            None is the controller's own default.
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
    controller: ControllerName | None = None
    controller_population: int | None = None
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
        return self.structure in ("chromatic", "edges")

    def _check_structure(self) -> None:
        for name, value, known in (
            ("structure", self.structure, get_args(Structure)),
            ("controller", self.controller, (None, *get_args(ControllerName))),
        ):
            if value not in known:
                raise StructuredLayersError(
                    f"{name} must be one of {', '.join(filter(None, known))}, got {value!r}"
                )
        for name, allowed, where in (
            ("num_colors", self.structure == "chromatic", "chromatic"),
            ("num_edges", self.structure == "edges", "edges"),
            ("controller", self.is_searched, "chromatic or edges"),
            ("controller_population", self.is_searched, "chromatic or edges"),
        ):
            if getattr(self, name) is not None and not allowed:
                raise StructuredLayersError(
                    f"{name} goes with structure {where}, got structure {self.structure}"
                )
        if self.controller == "random" and self.controller_population is not None:
            raise StructuredLayersError("the random controller has no population")

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
                f"baseline structure goes with structure chromatic or edges, got structure "
                f"{self.structure}; take baseline mean"
            )
        if self.baseline == "mean" and self.is_searched:
            raise StructuredLayersError(
                f"baseline mean goes with structure dense, toeplitz or circulant, got structure "
                f"{self.structure}; take baseline structure, which learns the mean as well"
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
        return {**asdict(self), "hidden": list(self.hidden)}

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
        _check_types(data)
        return cls(**{**data, "hidden": tuple(data["hidden"])})


_INTEGERS = ("total_steps", "seed", "popsize", "center_evaluations", "num_episodes")
_OPTIONAL_INTEGERS = ("num_colors", "num_edges", "controller_population", "num_top")
_FLAGS = ("output_bias", "observation_normalization", "slope", "alive_bonus", "zero_init")
_NUMBERS = ("stdev", "learning_rate", "weight_decay", "learning_rate_final", "stdev_final")
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


def _check_types(data: dict[str, Any]) -> None:
    """Refuse settings of a type that would only fail later, or silently mean something else."""
    is_integer: dict[str, bool] = {name: type(data[name]) is int for name in _INTEGERS}
    is_optional = {name: type(data[name]) in (int, NoneType) for name in _OPTIONAL_INTEGERS}
    is_flag = {name: type(data[name]) is bool for name in _FLAGS}
    is_number = {name: type(data[name]) in (int, float) for name in _NUMBERS}
    hidden = data["hidden"]
    is_sizes = {"hidden": isinstance(hidden, list) and all(type(size) is int for size in hidden)}
    is_object = {"env_config": isinstance(data["env_config"], dict)}
    is_right = is_integer | is_optional | is_flag | is_number | is_sizes | is_object
    wrong = [f"{name}={data[name]!r}" for name, right in is_right.items() if not right]
    if wrong:
        raise CheckpointError(f"these settings have the wrong type: {', '.join(wrong)}")
