"""The part that every evolution strategy shares: ask for weights, evaluate them, tell."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms.searchalgorithm import SearchAlgorithm, SinglePopulationAlgorithmMixin
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import center_tensor, check_integer, check_seed
from .baselines import Baseline
from .gradient_sensing import SensingOptions
from .perturbation import Perturbation
from .resumable_search import ResumableSearch, kept_rows, seeded_generator
from .search_checks import CheckedBatch
from .weight_optimizer import weight_optimizer


class WeightSearch(ResumableSearch):
    """The part that every strategy shares: asking for weights, evaluating them, telling.

    A subclass checks the problem and the centre, and says which decisions go with each candidate.
    See :class:`~structured_layers.algorithms.ES` for the arguments.
    """

    _batches = ("_population", "_center_population")

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int,
        center: Tensor,
        num_center_evaluations: int,
        baseline: Baseline | None,
        seed: int | None,
        options: SensingOptions,
    ) -> None:
        """Check the arguments and make the generator and what moves the weights."""
        check_integer("popsize", popsize, 2)
        check_integer("num_center_evaluations", num_center_evaluations, 0)
        check_seed(seed)
        SearchAlgorithm.__init__(self, problem, **self._status_getters())
        self._generator = seeded_generator(problem, seed)
        self._weights = weight_optimizer(center, popsize, self._generator, options)
        self._popsize = popsize
        # an estimator that compares with the centre evaluates it at least once
        self._num_center_evaluations = max(num_center_evaluations, int(self._weights.needs_center))
        self._num_pivots = 0  # evaluations of the centre with other structures, after those
        self._baseline = baseline
        self._population: SolutionBatch | None = None
        self._center_population: SolutionBatch | None = None
        self._pivot_population: SolutionBatch | None = None
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

    def center_kept(self) -> Tensor:
        """Return which evaluations of the centre count, (n,): all unless the problem says failed.

        A failed one has a fitness that is not its own. If all failed, all count.
        """
        return self._kept(self._center_population)

    def _kept(self, population: SolutionBatch | None) -> Tensor:
        if population is None:
            return torch.zeros(0, dtype=torch.bool)
        return kept_rows(self.problem, population)

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

    def center_merit(self, solution: Tensor, value: float) -> float:
        """Return what decides among centres (d + K,) of different generations: their returns."""
        return value

    def start_at(self, center: Tensor, decisions: Tensor | None = None) -> None:
        """Begin at these weights (d,), and with this structure (K,) if there is a search space.

        Raises:
            StructuredLayersError: the search has begun, or cannot begin there.
        """
        self._check_not_begun()
        num_weights, dtype = len(self._weights.center), self._weights.center.dtype
        center = center_tensor(center, num_weights, dtype, " here")
        self._start_structure(decisions)
        self._weights.move_to(center)

    def _start_structure(self, decisions: Tensor | None) -> None:
        if decisions is not None:
            raise StructuredLayersError("this search has no structure that could start somewhere")

    def _generation(self) -> None:
        batch, decisions, center_decisions = self._ask()
        fitnesses, center_fitnesses = self._evaluate(batch)
        residuals = self._residuals(fitnesses, decisions)
        center_value = None
        if self._num_pivots and decisions is not None:
            pivots = center_fitnesses[self._num_center_evaluations :]
            residuals_there = self._residuals(pivots, self._pivot_decisions(decisions))
            center_value = residuals_there[self._kept(self._pivot_population)].mean()
        elif len(center_fitnesses):
            center_mean = center_fitnesses[self.center_kept()].mean()
            center_value = self._residuals(center_mean[None], center_decisions)[0]
        self._weights.tell(residuals, center_value)
        if self._baseline is not None:
            self._baseline.observe(decisions, fitnesses)
        self._learn(decisions, fitnesses)

    def _ask(self) -> tuple[SolutionBatch, Tensor | None, Tensor | None]:
        """Return candidates, then centres; the candidates' decisions and the centre's."""
        num_centers = self._num_center_evaluations + self._num_pivots
        batch = CheckedBatch(self.problem, self._popsize + num_centers, empty=True)
        # filled in place: with many weights a generation is most of the memory that a search takes
        values, num_weights = batch.access_values(), len(self._weights.center)
        self._weights.ask(self._steps_count, values[: self._popsize, :num_weights])
        values[self._popsize :, :num_weights] = self._weights.center
        decisions, center_decisions = self._decisions(), _row(self.center_decisions())
        if decisions is not None:
            values[: self._popsize, num_weights:] = decisions
            values[self._popsize :, num_weights:] = center_decisions
            if self._num_pivots:
                values[-self._num_pivots :, num_weights:] = self._pivot_decisions(decisions)
        return batch, decisions, center_decisions

    def _pivot_decisions(self, decisions: Tensor) -> Tensor:
        """Return the decisions (p, K) of the centre that a generation is compared with."""
        raise NotImplementedError  # only a search with a controller has several

    def _described(self) -> Perturbation | None:
        """Return how the candidates are made of the centre, None if they have to be sent."""
        return self._weights.perturbation

    def _evaluate(self, batch: SolutionBatch) -> tuple[Tensor, Tensor]:
        """Evaluate candidates and centres; return the fitnesses of both, to be maximised."""
        popsize = self._popsize
        fitnesses = self._fitnesses(batch, self._described(), num_perturbed=popsize)
        self._population = batch[:popsize]
        num_centers = self._num_center_evaluations
        self._center_population = batch[popsize : popsize + num_centers] if num_centers else None
        self._pivot_population = batch[popsize + num_centers :] if self._num_pivots else None
        return fitnesses[:popsize], fitnesses[popsize:]

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
        return float(self._center_population.evals[self.center_kept(), 0].mean())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the problem's state included."""
        state = {**self._common_state(), **self._weights.state_dict()}
        if self._baseline is not None:
            state["baseline"] = self._baseline.state_dict()
        return state

    def _kind(self) -> dict[str, Any]:
        """Return which search a state belongs to."""
        return {
            "num_weights": len(self._weights.center),
            "baseline": None if self._baseline is None else type(self._baseline).__name__,
            **self._weights.kind(),
        }

    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Take up a state of this kind of search."""
        self._weights.load_state_dict(state)
        self._take_up_common(state)
        if self._baseline is not None:
            self._baseline.load_state_dict(state["baseline"])


def _row(decisions: Tensor | None) -> Tensor | None:
    return None if decisions is None else decisions[None]


def _solutions(weights: Tensor, decisions: Tensor | None) -> Tensor:
    return weights if decisions is None else torch.cat([weights, decisions.to(weights)], dim=1)
