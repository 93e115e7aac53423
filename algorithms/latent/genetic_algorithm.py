"""A genetic algorithm on weights, whose individuals are seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from evotorch import Problem, SolutionBatch
from evotorch.algorithms.searchalgorithm import SearchAlgorithm, SinglePopulationAlgorithmMixin
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import Center, check_choice, check_integer, check_positive, check_seed
from ..offspring import Crossover
from ..resumable_search import ResumableSearch, kept_rows, seeded_generator
from ..saved_states import name_of
from ..search_checks import CheckedBatch, check_problem
from .crossover import CROSSOVERS
from .founders import founder_rows, scale_vector
from .seed_encoding import Individual, Lineages


class GA(ResumableSearch):
    """Genetic algorithm: truncation selection, Gaussian mutation, elitism with re-evaluation.

    A child is a parent plus σ s ⊙ ε with ε ~ N(0, I). Parents are the elite and the best others of
    the last generation, ``num_parents`` in all, drawn with equal probability. The best candidates
    of a generation and the last elite are evaluated again; the one with the highest mean of these
    evaluations is the new elite, which lives on without mutation.

    An individual is the list of the seeds and σ that it was born with, and a founder
    (:mod:`~structured_layers.algorithms.latent.seed_encoding`): what is remembered from generation
    to generation, and saved, does not grow with the number of weights. Only the parents' weights
    are kept besides, to make children of them; and those of the candidates under evaluation.
    With crossover an individual is the graph of its ancestors, which grows by at most the number of
    parents each generation.

    Args:
        problem: a single-objective EvoTorch problem, for example a ``PolicyProblem``.
        popsize: candidates per generation; the elite's evaluations come on top.
        num_parents: how many may have children, the elite among them (truncation size).
        stdev: σ.
        scales: s, (d,) numbers above zero, factors on σ for each weight; None is one for all.
        num_elite_candidates: how many compete to be the elite, the last one among them; 0 leaves
            out elitism.
        num_elite_evaluations: of each of these, a generation.
        crossover: ``"uniform"``, ``"arithmetic"``, ``"one_point"`` or a function of two parents
            (d,) and a generator that returns (d,): children then have two parents, and are mutated
            besides. None has one.
        initial: what the first generation is: one start (d,), or several (n, d), and children of
            them until there are ``popsize``. None draws ``popsize`` as the problem draws solutions.
        seed: of the search's own generator; None draws one from the problem's generator.

    Examples:
        >>> from evotorch import Problem
        >>> sphere = Problem("min", lambda x: (x**2).sum(-1), solution_length=4,
        ...                  initial_bounds=(-1, 1), vectorized=True)
        >>> search = GA(sphere, popsize=40, num_parents=10, stdev=0.1, seed=0)
        >>> search.run(50)
        >>> bool(search.status["elite"].norm() < 0.3)
        True

    Reference:
        Such et al., Deep neuroevolution, 2017 (arXiv 1712.06567), Algorithm 1 and 3.1.
    """

    _batches = ("_population", "_elite_population")

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        num_parents: int = 20,
        stdev: float = 0.1,
        scales: Center | None = None,
        num_elite_candidates: int = 4,
        num_elite_evaluations: int = 4,
        crossover: str | Crossover | None = None,
        initial: Center | Tensor | None = None,
        seed: int | None = None,
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem, "a genetic algorithm")
        _check_sizes(popsize, num_parents, num_elite_candidates, num_elite_evaluations)
        check_positive("stdev", stdev)
        check_seed(seed)
        getters = {"elite": self._get_elite, "elite_eval": self._get_elite_eval}
        SearchAlgorithm.__init__(self, problem, **getters)
        self._generator = seeded_generator(problem, seed)
        founders = founder_rows(problem, initial, popsize)
        self._scales = scale_vector(scales, founders.shape[1], founders.dtype)
        self._lineages = Lineages(founders, self._scales, _crossover(crossover))
        self._crossover_name = None if crossover is None else _name(crossover)
        self._popsize, self._num_parents, self._stdev = popsize, num_parents, float(stdev)
        self._num_candidates, self._num_evaluations = num_elite_candidates, num_elite_evaluations
        self._parents = [Individual((), number) for number in range(len(founders))]
        self._elite: Individual | None = None
        self._elite_eval: float | None = None
        self._population: SolutionBatch | None = None
        self._elite_population: SolutionBatch | None = None
        SinglePopulationAlgorithmMixin.__init__(self)

    @property
    def elite_population(self) -> SolutionBatch | None:
        """The evaluations of the last generation that decided about the elite.

        The rows of a candidate follow each other. None without elitism.
        """
        return self._elite_population

    def elite_solution(self) -> Tensor:
        """Return the elite's weights (d,); without elitism those of the last best candidate."""
        return self._lineages.weights(self._elite or self._parents[0]).clone()

    def _get_elite(self) -> Tensor:
        return self.elite_solution()

    def _get_elite_eval(self) -> float | None:
        return self._elite_eval

    def _generation(self) -> None:
        individuals = self._children()
        self._population, fitnesses = self._evaluate(individuals, num_perturbed=self._popsize)
        kept = kept_rows(self.problem, self._population)
        # a failed candidate's fitness is not its own: it neither has children nor competes
        order = fitnesses.argsort(descending=True, stable=True)
        ranked = [individuals[i] for i in order.tolist() if kept[i]]
        if self._num_candidates:
            self._choose_elite(ranked)
        else:
            self._elite_eval = float(self._population.evals[order[kept[order]][0], 0])
        elite = [] if self._elite is None else [self._elite]
        others = [one for one in ranked[: self._num_parents] if one is not self._elite]
        self._parents = (elite + others)[: self._num_parents]
        self._lineages.remember(self._parents)

    def _children(self) -> list[Individual]:
        """Return a generation: the founders first, then children of whoever may have some."""
        is_first = not self._steps_count
        born = self._parents[: self._popsize] if is_first else []
        return [*born, *(self._child() for _ in range(self._popsize - len(born)))]

    def _child(self) -> Individual:
        num_parents = 1 if self._crossover_name is None else 2
        draws = torch.randint(len(self._parents), (num_parents,), generator=self._generator)
        seed = int(torch.randint(2**63 - 1, (), generator=self._generator))
        return Individual(tuple(self._parents[i] for i in draws.tolist()), seed, self._stdev)

    def _evaluate(
        self, individuals: Sequence[Individual], *, num_perturbed: int
    ) -> tuple[SolutionBatch, Tensor]:
        """Return a batch of individuals, evaluated, and its fitnesses, to be maximised."""
        offspring = self._lineages.describe(individuals)
        batch = CheckedBatch(self.problem, len(individuals), empty=True)
        batch.access_values()[:] = offspring.rows(0, len(individuals))
        return batch, self._fitnesses(batch, offspring, num_perturbed=num_perturbed)

    def _choose_elite(self, ranked: Sequence[Individual]) -> None:
        """Evaluate the best and the last elite again, and take the best mean."""
        last = [] if self._elite is None else [self._elite]
        best = [one for one in ranked if one is not self._elite]
        candidates = last + best[: self._num_candidates - len(last)]
        repeated = [one for one in candidates for _ in range(self._num_evaluations)]
        # the same candidates once more: they do not enter statistics of observations
        batch, fitnesses = self._evaluate(repeated, num_perturbed=0)
        self._elite_population = batch
        kept = kept_rows(self.problem, batch).reshape(len(candidates), -1)
        sums = (fitnesses.double().reshape(kept.shape) * kept).sum(dim=1)
        means = torch.where(kept.any(dim=1), sums / kept.sum(dim=1).clamp(min=1), -torch.inf)
        winner = int(means.argmax())
        sign = 1.0 if self.problem.senses[0] == "max" else -1.0
        self._elite, self._elite_eval = candidates[winner], sign * float(means[winner])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the problem's state included.

        It holds the seeds of the parents and their ancestors, and the founders among these.
        """
        return {
            **self._common_state(),
            "parents": self._lineages.state_dict(self._parents),
            "has_elite": self._elite is not None,  # which is the first of the parents
            "elite_eval": self._elite_eval,
        }

    def _kind(self) -> dict[str, Any]:
        return {
            "algorithm": "GA",
            "num_weights": len(self._scales),
            "popsize": self._popsize,
            "num_parents": self._num_parents,
            "stdev": self._stdev,
            "elite": [self._num_candidates, self._num_evaluations],
            "crossover": self._crossover_name,
            "scales": hashlib.sha256(self._scales.double().numpy().tobytes()).hexdigest()[:16],
        }

    def _take_up(self, state: Mapping[str, Any]) -> None:
        self._parents = self._lineages.load_state_dict(state["parents"])
        self._elite = self._parents[0] if state["has_elite"] else None
        self._elite_eval = None if state["elite_eval"] is None else float(state["elite_eval"])
        self._take_up_common(state)


def _check_sizes(popsize: int, num_parents: int, candidates: int, evaluations: int) -> None:
    check_integer("popsize", popsize, 2)
    check_integer("num_parents", num_parents, 1, popsize, ", the popsize")
    check_integer("num_elite_candidates", candidates, 0, popsize, ", the popsize")
    check_integer("num_elite_evaluations", evaluations, 1)
    if candidates == 1:
        raise StructuredLayersError(
            "num_elite_candidates must be 0, for no elitism, or at least 2: the last elite and one "
            "that may replace it; got 1"
        )


def _crossover(crossover: str | Crossover | None) -> Crossover | None:
    if crossover is None or callable(crossover):
        return crossover
    check_choice("crossover", crossover, tuple(CROSSOVERS))
    return CROSSOVERS[crossover]


def _name(crossover: str | Crossover) -> str:
    return crossover if isinstance(crossover, str) else name_of(crossover)
