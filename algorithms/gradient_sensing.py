"""Weights by gradient sensing: ask for perturbed candidates, step along the estimate they give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict

import torch
from evotorch.optimizers import get_optimizer_class
from torch import Tensor

from structured_layers.errors import EvaluationError, StructuredLayersError

from .argument_checks import (
    check_choice,
    check_integer,
    check_positive,
    check_schedule_argument,
    check_weight_decay,
)
from .baselines import SlopeVariate
from .directions import Directions, resolve_directions
from .optimizer_state import load_optimizer_state_dict, optimizer_state_dict, set_step_size
from .perturbation import Perturbation
from .ranking import RANKING_METHODS
from .schedules import Schedule
from .search_checks import checked_gradient
from .sensing_estimators import Estimator, resolve_estimator
from .top_directions import TOP_RULES, top_directions

OPTIMIZERS = ("adam", "sgd", "clipup")


class SensingOptions(TypedDict, total=False):
    """The keywords of :class:`GradientSensing` that a search passes on."""

    stdev_init: float
    center_learning_rate: float
    optimizer: str
    optimizer_config: Mapping[str, Any] | None
    ranking_method: str
    estimator: str | Estimator | Callable[..., Tensor]
    directions: str | Directions
    num_top: int | None
    top_rule: str
    weight_decay: float
    slope: bool
    learning_rate_schedule: Schedule | None
    stdev_schedule: Schedule | None


class GradientSensing:
    """Asks for θ + σε_i and follows the gradient that their fitnesses tell.

    Args:
        center: θ at the start, (d,).
        popsize: perturbed candidates per generation; even where directions come in pairs.
        generator: the seed of each generation's directions is drawn from it.
        stdev_init: σ at the start.
        center_learning_rate: step size of the optimizer at the start.
        optimizer: ``"adam"``, ``"sgd"`` or ``"clipup"``, EvoTorch's.
        optimizer_config: further arguments of the optimizer.
        ranking_method: ``"raw"``, ``"centered"`` (ranks) or ``"std"`` (divided by the standard
            deviation, as in ARS).
        estimator: ``"antithetic"``, ``"forward"``, ``"vanilla"``, an
            :class:`~structured_layers.algorithms.sensing_estimators.Estimator`, or a function,
            short for ``Estimator(function)``.
        directions: ``"gaussian"``, ``"orthogonal"``, ``"hadamard"``, ``"coordinate"``, or a
            function of their signature.
        num_top: how many pairs a step follows; None is all.
        top_rule: which ones, ``"max"`` of the pair's two fitnesses or their ``"difference"``.
        weight_decay: λ in θ ← (1 − ηλ)θ + step, η the step size.
        slope: whether the moving average of past estimates serves as a control variate. Directions
            of one's own need E[ε εᵀ] = I for it, or the estimates are biased.
        learning_rate_schedule: factor on the step size in each generation.
        stdev_schedule: factor on σ in each generation.
    """

    def __init__(
        self,
        center: Tensor,
        popsize: int,
        generator: torch.Generator,
        *,
        stdev_init: float = 0.1,
        center_learning_rate: float = 0.01,
        optimizer: str = "adam",
        optimizer_config: Mapping[str, Any] | None = None,
        ranking_method: str = "std",
        estimator: str | Estimator | Callable[..., Tensor] = "antithetic",
        directions: str | Directions = "gaussian",
        num_top: int | None = None,
        top_rule: str = "max",
        weight_decay: float = 0.0,
        slope: bool = False,
        learning_rate_schedule: Schedule | None = None,
        stdev_schedule: Schedule | None = None,
    ) -> None:
        """Check the arguments and make the optimizer."""
        _check_names(optimizer, ranking_method, top_rule)
        _check_numbers(stdev_init, center_learning_rate, weight_decay)
        check_schedule_argument("learning_rate_schedule", learning_rate_schedule)
        check_schedule_argument("stdev_schedule", stdev_schedule)
        resolve_directions(directions)
        self._estimator = resolve_estimator(estimator)
        _check_slope(slope, self._estimator)
        self._directions = directions
        self._optimizer_name = optimizer
        self.center, self._generator = center, generator
        self._num_directions = _count_directions(popsize, self._estimator)
        self._num_top, self._top_rule = num_top, top_rule
        _check_top(num_top, top_rule, self._num_directions, self._estimator, slope)
        self.stdev = self._stdev_init = float(stdev_init)
        self._step_size = self._step_size_init = float(center_learning_rate)
        self._weight_decay = float(weight_decay)
        self._shape_fitnesses = RANKING_METHODS[ranking_method]
        self._slope = SlopeVariate(len(center)) if slope else None
        self._schedules = {"learning_rate": learning_rate_schedule, "stdev": stdev_schedule}
        self._optimizer = get_optimizer_class(optimizer, optimizer_config)(
            stepsize=self._step_size_init, solution_length=len(center), dtype=center.dtype
        )
        self.perturbation: Perturbation | None = None
        self._only_block: Tensor | None = None
        self.update_norm = 0.0

    @property
    def needs_center(self) -> bool:
        """Whether :meth:`tell` needs the fitness of the centre."""
        return self._estimator.needs_center

    @property
    def mirrored(self) -> bool:
        """Whether candidates come in pairs of opposite signs."""
        return self._estimator.mirrored

    def kind(self) -> dict[str, Any]:
        """Return what a state of this object depends on."""
        slope, estimator = self._slope is not None, self._estimator.name
        return {"optimizer": self._optimizer_name, "slope": slope, "estimator": estimator}

    def move_to(self, center: Tensor) -> None:
        """Begin at other weights (d,)."""
        self.center = center.clone()

    def ask(self, generation: int, out: Tensor) -> None:
        """Write the candidates of a generation into ``out`` (popsize, d), pairs in turn.

        Directions are drawn block by block, and again in :meth:`tell` unless they are one block:
        there is never more than one of them in memory.
        """
        self.stdev = self._stdev_init * self._factor("stdev", generation)
        self._step_size = self._step_size_init * self._factor("learning_rate", generation)
        check_weight_decay(self._weight_decay, self._step_size)
        self.perturbation = Perturbation(
            self.center,
            self.stdev,
            int(torch.randint(2**63 - 1, (), generator=self._generator)),
            self._directions,
            self._num_directions,
            self._estimator.mirrored,
        )
        self._only_block = self.perturbation.write(out)

    def _factor(self, name: str, generation: int) -> float:
        schedule = self._schedules[name]
        factor = 1.0 if schedule is None else schedule(generation)
        try:
            factor, given = float(factor), factor
        except (TypeError, ValueError):
            factor, given = math.nan, factor
        if not 0 < factor < math.inf:
            raise StructuredLayersError(
                f"the schedule of {name} must return positive factors, got {given!r} for "
                f"generation {generation}"
            )
        return factor

    def tell(self, fitnesses: Tensor, center_fitness: Tensor | None) -> None:
        """Step along the gradient that the candidates' fitnesses (popsize,) give."""
        top = None
        if self._num_top is not None:
            top = top_directions(fitnesses[0::2], fitnesses[1::2], self._num_top, self._top_rule)
            fitnesses = torch.stack([fitnesses[2 * top], fitnesses[2 * top + 1]], dim=1).flatten()
        utilities, center_utility = self._shape(fitnesses, center_fitness)
        slope = None if self._slope is None else self._slope.slope()
        gradient = self._estimator(
            utilities, center_utility, self._blocks(top), self.stdev, slope=slope
        )
        self._only_block = None
        gradient = checked_gradient(gradient, self.center)
        if self._slope is not None:
            self._slope.observe(gradient)
        self._update(gradient)

    def _blocks(self, top: Tensor | None) -> Iterator[Tensor]:
        """Yield the generation's directions block by block, of all pairs or of the top ones."""
        if self.perturbation is None:
            raise StructuredLayersError("ask for candidates before telling their fitnesses")
        only, start = self._only_block, 0
        for block in self.perturbation.blocks() if only is None else [only]:
            stop = start + len(block)
            yield block if top is None else block[top[(top >= start) & (top < stop)] - start]
            start = stop

    def _shape(self, fitnesses: Tensor, center: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Shape the fitnesses, together with the centre's where the estimator compares with it."""
        if not self._estimator.needs_center or center is None:
            return self._shape_fitnesses(fitnesses), None
        utilities = self._shape_fitnesses(torch.cat([fitnesses, center.reshape(1)]))
        return utilities[:-1], utilities[-1]

    def _update(self, gradient: Tensor) -> None:
        before = self.center
        self.center = before * (1 - self._step_size * self._weight_decay)
        if bool(gradient.any()):  # ClipUp divides by the norm
            set_step_size(self._optimizer, self._step_size)
            self.center = self.center + self._optimizer.ascent(gradient)
        if not bool(self.center.isfinite().all()):
            raise EvaluationError(
                "a step leads to weights that are not finite; take smaller fitnesses, a smaller "
                "center_learning_rate or another ranking_method"
            )
        self.update_norm = float((self.center - before).norm())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, but for the generator."""
        state: dict[str, Any] = {
            "center": self.center,
            "optimizer": optimizer_state_dict(self._optimizer),
            "stdev": self.stdev,
            "update_norm": self.update_norm,
        }
        if self._slope is not None:
            state["slope"] = self._slope.state_dict()
        for name, schedule in self._schedules.items():
            if schedule is not None and hasattr(schedule, "state_dict"):
                state[f"{name}_schedule"] = schedule.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.center, self._only_block = state["center"].clone(), None
        self.stdev = float(state.get("stdev", self._stdev_init))
        self.update_norm = float(state.get("update_norm", 0.0))
        load_optimizer_state_dict(self._optimizer, state["optimizer"])
        if self._slope is not None:
            self._slope.load_state_dict(state["slope"])
        for name, schedule in self._schedules.items():
            if schedule is not None and hasattr(schedule, "load_state_dict"):
                schedule.load_state_dict(state[f"{name}_schedule"])


def _check_names(optimizer: str, ranking_method: str, top_rule: str) -> None:
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_choice("ranking_method", ranking_method, tuple(RANKING_METHODS))
    check_choice("top_rule", top_rule, tuple(TOP_RULES))


def _check_numbers(stdev: float, learning_rate: float, weight_decay: float) -> None:
    check_positive("stdev_init", stdev)
    check_positive("center_learning_rate", learning_rate)
    check_weight_decay(weight_decay, learning_rate)


def _check_slope(slope: bool, estimator: Estimator) -> None:
    if not isinstance(slope, bool):
        raise StructuredLayersError(f"slope must be True or False, got {slope!r}")
    if slope and not estimator.takes_slope():
        raise StructuredLayersError(
            f"slope=True needs an estimator with the keyword slope, which {estimator.function!r} "
            f"has not; subtract σ aᵀε_i from the values and add a, or take slope=False"
        )


def _count_directions(popsize: int, estimator: Estimator) -> int:
    if estimator.mirrored and popsize % 2:
        raise StructuredLayersError(
            f"popsize must be an even number of at least 2 (antithetic pairs), got {popsize}"
        )
    return popsize // 2 if estimator.mirrored else popsize


def _check_top(
    num_top: int | None, top_rule: str, num_directions: int, estimator: Estimator, slope: bool
) -> None:
    if num_top is None:
        if top_rule != "max":
            raise StructuredLayersError(
                f"top_rule={top_rule!r} chooses among pairs; say with num_top how many to take"
            )
        return
    if not estimator.mirrored or slope:
        raise StructuredLayersError(
            "num_top chooses among antithetic pairs, and the chosen ones have no known mean that a "
            "slope could use; take estimator='antithetic' and slope=False with it"
        )
    check_integer("num_top", num_top, 1, num_directions, ", the number of pairs")
