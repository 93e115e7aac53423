"""Evolution strategies on the weights: perturb, evaluate, follow the estimated gradient."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms.searchalgorithm import SearchAlgorithm, SinglePopulationAlgorithmMixin
from evotorch.optimizers import get_optimizer_class
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .directions import DIRECTIONS
from .gradient_estimators import antithetic
from .optimizer_state import load_optimizer_state_dict, optimizer_state_dict
from .ranking import RANKING_METHODS

ESTIMATORS = ("antithetic",)


class GradientSensing(SearchAlgorithm, SinglePopulationAlgorithmMixin):
    """The part that every strategy shares: sensing the gradient and stepping along it.

    A subclass says which decisions go with each candidate. See :class:`ES` for the arguments.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int,
        center_init: Tensor,
        stdev_init: float,
        center_learning_rate: float,
        optimizer: str,
        optimizer_config: Mapping[str, Any] | None,
        ranking_method: str,
        estimator: str,
        directions: str,
        num_center_evaluations: int,
        seed: int | None,
    ) -> None:
        """Check the arguments and make the optimizer and the generator."""
        _check_choice("estimator", estimator, ESTIMATORS)
        _check_choice("directions", directions, tuple(DIRECTIONS))
        _check_choice("ranking_method", ranking_method, tuple(RANKING_METHODS))
        _check_choice("optimizer", optimizer, ("adam", "sgd", "clipup"))
        _check_sizes(popsize, stdev_init, center_learning_rate, num_center_evaluations)
        problem.ensure_single_objective()
        SearchAlgorithm.__init__(self, problem, **self._status_getters())
        self._popsize, self._num_center_evaluations = popsize, num_center_evaluations
        self._center = center_init.detach().clone().to(problem.dtype)
        self._stdev = float(stdev_init)
        self._shape_fitnesses = RANKING_METHODS[ranking_method]
        self._draw_directions = DIRECTIONS[directions]
        self._optimizer = get_optimizer_class(optimizer, optimizer_config)(
            stepsize=float(center_learning_rate),
            solution_length=len(self._center),
            dtype=problem.dtype,
        )
        self._generator = torch.Generator()
        self._generator.manual_seed(self._generator.seed() if seed is None else seed)
        self._population: SolutionBatch | None = None
        self._center_population: SolutionBatch | None = None
        self._update_norm = 0.0
        SinglePopulationAlgorithmMixin.__init__(self)

    def _status_getters(self) -> dict[str, Any]:
        return {
            "center": self._get_center,
            "stdev": self._get_stdev,
            "center_eval": self._get_center_eval,
            "update_norm": self._get_update_norm,
        }

    @property
    def population(self) -> SolutionBatch | None:
        """The perturbed candidates of the last generation, pairs θ + σε, θ − σε in turn."""
        return self._population

    @property
    def center_population(self) -> SolutionBatch | None:
        """The evaluations at the centre of the last generation, None if there are none."""
        return self._center_population

    @abstractmethod
    def _decisions(self) -> Tensor | None:
        """Return the decisions (popsize, K) of the perturbed candidates, None without a space."""

    @abstractmethod
    def center_decisions(self) -> Tensor | None:
        """Return the decisions (K,) that go with the centre, None without a search space."""

    @abstractmethod
    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Tell whoever made the decisions how good (higher is better) they were."""

    def center_solution(self) -> Tensor:
        """Return the centre's weights followed by its decisions: (d + K,)."""
        decisions = self.center_decisions()
        if decisions is None:
            return self._center.clone()
        return torch.cat([self._center, decisions.to(self._center.dtype)])

    def _step(self) -> None:
        noise = self._draw_directions(
            self._popsize // 2, len(self._center), self._generator, self._center.dtype
        )  # (N, d)
        pairs = torch.stack([noise, -noise], dim=1).flatten(0, 1)  # (2N, d): +, −, +, −, …
        weights = self._center + self._stdev * pairs
        decisions = self._decisions()
        fitnesses = self._evaluate(weights, decisions)
        utilities = self._shape_fitnesses(fitnesses)
        gradient = antithetic(utilities[0::2], utilities[1::2], noise, self._stdev)
        self._update(gradient)
        self._learn(decisions, fitnesses)

    def _evaluate(self, weights: Tensor, decisions: Tensor | None) -> Tensor:
        """Evaluate the candidates and the centre; return the candidates' fitnesses to maximise."""
        rows = weights if decisions is None else torch.cat([weights, decisions.to(weights)], dim=1)
        center = self.center_solution().expand(self._num_center_evaluations, -1)
        batch = SolutionBatch(self.problem, len(rows) + len(center), empty=True)
        batch.set_values(torch.cat([rows, center]))
        self.problem.evaluate(batch)
        self._population = batch[: len(rows)]
        self._center_population = batch[len(rows) :] if len(center) else None
        sign = 1.0 if self.problem.senses[0] == "max" else -1.0
        # a plain copy: EvoTorch hands out read-only tensors
        fitnesses: Tensor = sign * self._population.evals[:, 0].as_subclass(Tensor).clone()
        return fitnesses

    def _update(self, gradient: Tensor) -> None:
        if not bool(gradient.any()):  # ClipUp divides by the norm
            self._update_norm = 0.0
            return
        step = self._optimizer.ascent(gradient)
        self._center = self._center + step
        self._update_norm = float(step.norm())

    def _get_center(self) -> Tensor:
        return self._center

    def _get_stdev(self) -> float:
        return self._stdev

    def _get_update_norm(self) -> float:
        return self._update_norm

    def _get_center_eval(self) -> float | None:
        if self._center_population is None:
            return None
        return float(self._center_population.evals[:, 0].mean())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the problem's state included."""
        state = {
            "step_count": self._steps_count,
            "center": self._center,
            "optimizer": optimizer_state_dict(self._optimizer),
            "generator": self._generator.get_state(),
        }
        if hasattr(self.problem, "state_dict"):
            state["problem"] = self.problem.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        if state["center"].shape != self._center.shape:
            raise StructuredLayersError(
                f"this search has {len(self._center)} weights, the state {len(state['center'])}"
            )
        self.clear_status()  # it keeps what was asked for before
        self._steps_count = int(state["step_count"])
        self._center = state["center"].clone()
        load_optimizer_state_dict(self._optimizer, state["optimizer"])
        self._generator.set_state(state["generator"])
        if "problem" in state:
            self.problem.load_state_dict(state["problem"])


class ES(GradientSensing):
    """Evolution strategy with a fixed standard deviation, on any EvoTorch problem.

    θ ← θ + optimizer(g),  g = 1/(2Nσ) Σ (u_i⁺ − u_i⁻) ε_i, with u the shaped fitnesses.

    Args:
        problem: a single-objective EvoTorch problem, for example a ``PolicyProblem``.
        popsize: perturbed candidates per generation, an even number 2N.
        center_init: θ at the start, (d,); None draws it as the problem draws solutions.
        stdev_init: σ.
        center_learning_rate: step size of the optimizer.
        optimizer: ``"adam"``, ``"sgd"`` or ``"clipup"``, EvoTorch's.
        optimizer_config: further arguments of the optimizer.
        ranking_method: ``"raw"``, ``"centered"`` (ranks) or ``"std"`` (divided by the standard
            deviation, as in ARS).
        estimator: ``"antithetic"``.
        directions: ``"gaussian"``.
        num_center_evaluations: extra evaluations of θ per generation, on top of ``popsize``.
        seed: of the search's own generator; None draws one.

    Examples:
        >>> import torch
        >>> from evotorch import Problem
        >>> sphere = Problem("min", lambda x: (x**2).sum(-1), solution_length=4,
        ...                  initial_bounds=(-1, 1), vectorized=True)
        >>> search = ES(sphere, popsize=40, center_init=torch.ones(4), seed=0)
        >>> search.run(100)
        >>> bool(search.status["center"].norm() < 0.3)
        True

    Reference:
        Salimans et al., 2017 (arXiv 1703.03864); Choromanski et al., ICML 2018 (arXiv 1804.02395).
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        center_init: Tensor | None = None,
        stdev_init: float = 0.1,
        center_learning_rate: float = 0.01,
        optimizer: str = "adam",
        optimizer_config: Mapping[str, Any] | None = None,
        ranking_method: str = "std",
        estimator: str = "antithetic",
        directions: str = "gaussian",
        num_center_evaluations: int = 0,
        seed: int | None = None,
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        if center_init is None:
            center_init = problem.generate_values(1)[0]
        if tuple(center_init.shape) != (problem.solution_length,):
            raise StructuredLayersError(
                f"center_init must have shape ({problem.solution_length},), the problem's solution "
                f"length, got {tuple(center_init.shape)}; a search space needs ESENAS"
            )
        super().__init__(
            problem,
            popsize=popsize,
            center_init=center_init,
            stdev_init=stdev_init,
            center_learning_rate=center_learning_rate,
            optimizer=optimizer,
            optimizer_config=optimizer_config,
            ranking_method=ranking_method,
            estimator=estimator,
            directions=directions,
            num_center_evaluations=num_center_evaluations,
            seed=seed,
        )

    def _decisions(self) -> Tensor | None:
        return None

    def center_decisions(self) -> Tensor | None:
        """Return None: the structure is the network's own."""
        return None

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Nobody decided anything."""


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise StructuredLayersError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def _check_sizes(popsize: int, stdev: float, learning_rate: float, num_center: int) -> None:
    if popsize < 2 or popsize % 2:
        raise StructuredLayersError(
            f"popsize must be an even number of at least 2 (antithetic pairs), got {popsize}"
        )
    if not 0 < stdev < math.inf or not 0 < learning_rate < math.inf:
        raise StructuredLayersError(
            f"stdev_init and center_learning_rate must be positive, got {stdev} and {learning_rate}"
        )
    if num_center < 0:
        raise StructuredLayersError(f"num_center_evaluations must be at least 0, got {num_center}")
