"""An evolution strategy on the weights: perturb, evaluate, follow the estimated gradient."""

from __future__ import annotations

from typing import Unpack

from evotorch import Problem
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import Center, center_tensor
from .baselines import Baseline, MeanBaseline
from .gradient_sensing import SensingOptions
from .search_checks import check_problem
from .weight_search import WeightSearch


class ES(WeightSearch):
    """Evolution strategy on any EvoTorch problem of real numbers without bounds.

    θ ← θ + optimizer(g), g an estimate of ∇E[F(θ + σε)] from N directions ε_i.

    Args:
        problem: a single-objective EvoTorch problem, for example a ``PolicyProblem``.
        popsize: perturbed candidates per generation: N, or 2N where directions come in pairs.
        center_init: θ at the start, (d,), a tensor, an array or a list of finite numbers; None
            draws it as the problem draws solutions.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``; at least one
            is made where the estimator needs it.
        baseline: ``"mean"`` subtracts the moving average of past fitnesses from all fitnesses; a
            :class:`~structured_layers.algorithms.baselines.Baseline` of your own what it predicts;
            None nothing.
        seed: of the search's own generator; None draws one from the problem's generator.
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
        center_init: Center | None = None,
        num_center_evaluations: int = 0,
        baseline: str | Baseline | None = None,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem)
        if getattr(problem, "search_space", None) is not None:
            raise StructuredLayersError(
                "this problem has a search space, whose decisions are no numbers to perturb; take "
                "ESENAS with a controller, or a problem without search_space"
            )
        if center_init is None:
            center_init = problem.generate_values(1)[0]
        meaning = ", the problem's solution length"
        super().__init__(
            problem,
            popsize=popsize,
            center=center_tensor(center_init, problem.solution_length, problem.dtype, meaning),
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


def _baseline(baseline: str | Baseline | None) -> Baseline | None:
    if baseline == "mean":
        return MeanBaseline()
    if baseline is not None and not isinstance(baseline, Baseline):
        raise StructuredLayersError(
            f"baseline must be 'mean', a Baseline or None, got {baseline!r}; 'structure' is "
            f"ESENAS's"
        )
    return baseline
