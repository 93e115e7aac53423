"""Evolution strategies on the weights: perturb, evaluate, follow the estimated gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Unpack

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms.searchalgorithm import SearchAlgorithm, SinglePopulationAlgorithmMixin
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .baselines import Baseline, MeanBaseline
from .covariance_adaptation import CovarianceAdaptation
from .gradient_sensing import OPTIMIZERS, GradientSensing, SensingOptions, check_choice
from .search_checks import check_counts, check_fitnesses, check_problem


class WeightSearch(SearchAlgorithm, SinglePopulationAlgorithmMixin):
    """The part that every strategy shares: asking for weights, evaluating them, telling.

    A subclass says which decisions go with each candidate. See :class:`ES` for the arguments.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int,
        center_init: Tensor,
        num_center_evaluations: int,
        baseline: Baseline | None,
        seed: int | None,
        options: SensingOptions,
    ) -> None:
        """Check the arguments and make the generator and what moves the weights."""
        check_problem(problem)
        check_counts(popsize, num_center_evaluations)
        SearchAlgorithm.__init__(self, problem, **self._status_getters())
        self._generator = torch.Generator()
        self._generator.manual_seed(self._generator.seed() if seed is None else seed)
        center = center_init.detach().clone().to(problem.dtype)
        self._weights = _weight_optimizer(center, popsize, self._generator, options)
        self._popsize = popsize
        # an estimator that compares with the centre evaluates it at least once
        self._num_center_evaluations = max(num_center_evaluations, int(self._weights.needs_center))
        self._baseline = baseline
        self._population: SolutionBatch | None = None
        self._center_population: SolutionBatch | None = None
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
        return _solutions(self._weights.center[None], _row(self.center_decisions()))[0].clone()

    def _step(self) -> None:
        before = self.state_dict()
        try:
            self._generation()
        except BaseException:
            self.load_state_dict(before)  # as if the generation had not begun
            raise

    def _generation(self) -> None:
        weights = self._weights.ask(self._steps_count)
        decisions, center_decisions = self._decisions(), _row(self.center_decisions())
        fitnesses, center_fitnesses = self._evaluate(weights, decisions, center_decisions)
        residuals = self._residuals(fitnesses, decisions)
        center_value = None
        if len(center_fitnesses):
            center_value = self._residuals(center_fitnesses.mean()[None], center_decisions)[0]
        self._weights.tell(residuals, center_value)
        if self._baseline is not None:
            self._baseline.observe(decisions, fitnesses)
        self._learn(decisions, fitnesses)

    def _evaluate(
        self, weights: Tensor, decisions: Tensor | None, center_decisions: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Evaluate candidates and centre; return the fitnesses of both, to be maximised."""
        center = _solutions(self._weights.center[None], center_decisions)
        center = center.expand(self._num_center_evaluations, -1)
        rows = torch.cat([_solutions(weights, decisions), center])
        batch = SolutionBatch(self.problem, len(rows), empty=True)
        batch.set_values(rows)
        if hasattr(self.problem, "describe_next"):  # what its actors are sent instead of weights
            self.problem.describe_next(self._weights.perturbation)
        self.problem.evaluate(batch)
        # a plain copy: EvoTorch hands out read-only tensors
        evals: Tensor = batch.evals[:, 0].as_subclass(Tensor).clone()
        check_fitnesses(evals)
        self._population = batch[: len(weights)]
        self._center_population = batch[len(weights) :] if len(center) else None
        fitnesses = evals if self.problem.senses[0] == "max" else -evals
        return fitnesses[: len(weights)], fitnesses[len(weights) :]

    def _residuals(self, fitnesses: Tensor, decisions: Tensor | None) -> Tensor:
        """Return the fitnesses less what the baseline expects of them."""
        if self._baseline is None:
            return fitnesses
        return fitnesses - self._baseline.predict(len(fitnesses), decisions).to(fitnesses.dtype)

    def _get_center(self) -> Tensor:
        return self._weights.center

    def _get_stdev(self) -> float:
        return self._weights.stdev

    def _get_update_norm(self) -> float:
        return self._weights.update_norm

    def _get_center_eval(self) -> float | None:
        if self._center_population is None:
            return None
        return float(self._center_population.evals[:, 0].mean())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the problem's state included."""
        state = {
            "step_count": self._steps_count,
            "generator": self._generator.get_state(),
            **self._weights.state_dict(),
        }
        if self._baseline is not None:
            state["baseline"] = self._baseline.state_dict()
        if hasattr(self.problem, "state_dict"):
            state["problem"] = self.problem.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        num_weights = len(self._weights.center)
        if len(state["center"]) != num_weights:
            raise StructuredLayersError(
                f"this search has {num_weights} weights, the state {len(state['center'])}"
            )
        self.clear_status()  # it keeps what was asked for before
        self._weights.load_state_dict(state)
        self._steps_count = int(state["step_count"])
        self._generator.set_state(state["generator"])
        if self._baseline is not None:
            self._baseline.load_state_dict(state["baseline"])
        if "problem" in state:
            self.problem.load_state_dict(state["problem"])


class ES(WeightSearch):
    """Evolution strategy on any EvoTorch problem of real numbers without bounds.

    θ ← θ + optimizer(g), g an estimate of ∇E[F(θ + σε)] from N directions ε_i.

    Args:
        problem: a single-objective EvoTorch problem, for example a ``PolicyProblem``.
        popsize: perturbed candidates per generation: N, or 2N where directions come in pairs.
        center_init: θ at the start, (d,); None draws it as the problem draws solutions.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``; at least one
            is made where the estimator needs it.
        baseline: ``"mean"`` subtracts the moving average of past fitnesses from all fitnesses; a
            :class:`~structured_layers.algorithms.baselines.Baseline` of your own what it predicts;
            None nothing.
        seed: of the search's own generator; None draws one.
        **options: stdev_init, center_learning_rate, optimizer, ranking_method, estimator,
            directions, num_top and more: see
            :class:`~structured_layers.algorithms.gradient_sensing.GradientSensing`. With
            ``optimizer="cmaes"``, which needs the extra ``cmaes``, only stdev_init.

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
        num_center_evaluations: int = 0,
        baseline: str | Baseline | None = None,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem)
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
            num_center_evaluations=num_center_evaluations,
            baseline=_baseline(baseline),
            seed=seed,
            options=options,
        )

    def _decisions(self) -> Tensor | None:
        return None

    def center_decisions(self) -> Tensor | None:
        """Return None: the structure is the network's own."""
        return None

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """Nobody decided anything."""


def _weight_optimizer(
    center: Tensor, popsize: int, generator: torch.Generator, options: SensingOptions
) -> GradientSensing | CovarianceAdaptation:
    check_choice("optimizer", options.get("optimizer", "adam"), (*OPTIMIZERS, "cmaes"))
    if options.get("optimizer") != "cmaes":
        return GradientSensing(center, popsize, generator, **options)
    unused = sorted(options.keys() - {"optimizer", "stdev_init"})
    if unused:
        raise StructuredLayersError(
            f"with optimizer='cmaes' there is no {', '.join(unused)}; only stdev_init is set"
        )
    return CovarianceAdaptation(
        center, popsize, generator, stdev_init=options.get("stdev_init", 0.1)
    )


def _baseline(baseline: str | Baseline | None) -> Baseline | None:
    if baseline == "mean":
        return MeanBaseline()
    if isinstance(baseline, str):
        raise StructuredLayersError(
            f"baseline must be 'mean', a Baseline or None, got {baseline!r}; 'structure' is "
            f"ESENAS's"
        )
    return baseline


def _row(decisions: Tensor | None) -> Tensor | None:
    return None if decisions is None else decisions[None]


def _solutions(weights: Tensor, decisions: Tensor | None) -> Tensor:
    return weights if decisions is None else torch.cat([weights, decisions.to(weights)], dim=1)
