"""ES-ENAS: a controller proposes a structure for every candidate of an evolution strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from evotorch import Problem
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import Center, center_tensor, check_integer
from .baselines import Baseline, StructureBaseline
from .controllers import Controller
from .gradient_sensing import SensingOptions
from .search_checks import check_problem
from .weight_search import WeightSearch


class ESENAS(WeightSearch):
    """Search for weights and structure at once, at the cost of the search for the weights.

    One generation: draw ε_i ~ N(0, I) and independent structures m_i⁺, m_i⁻ from the controller,
    evaluate v_i^± = f(m_i^±, θ ± σε_i), step θ along 1/(2Nσ) Σ (u_i⁺ − u_i⁻) ε_i, u the shaped v,
    and let the controller observe every (m, v). It never sees the perturbations.

    Args:
        problem: a problem whose solutions are d weights followed by K decisions, as a
            ``PolicyProblem`` with a ``search_space`` has them.
        controller: who proposes; which one it is does not matter here.
        popsize: perturbed candidates per generation: 2N, or N with another estimator.
        center_init: θ at the start, (d,); None draws it as the problem draws solutions.
        num_center_evaluations: extra evaluations of θ with the controller's best structure; None is
            half of ``popsize``, as in the paper.
        baseline: ``"structure"`` subtracts from each fitness what a
            :class:`~structured_layers.algorithms.baselines.StructureBaseline` has learned about its
            structure; one's own ``Baseline``; None subtracts nothing.
        seed: of the search's own generator; None draws one from the problem's generator. The
            controller has its own.
        **options: as in :class:`ES`. With ``optimizer="cmaes"`` CMA-ES moves the weights.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Algorithm 1 and C.4.
    """

    def __init__(
        self,
        problem: Problem,
        controller: Controller,
        *,
        popsize: int = 100,
        center_init: Center | None = None,
        num_center_evaluations: int | None = None,
        baseline: str | Baseline | None = None,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem)
        check_integer("popsize", popsize, 2)
        num_weights = _num_weights(problem, controller)
        if center_init is None:
            center_init = problem.generate_values(1)[0, :num_weights]
        meaning = f": the solution length less the {controller.space.num_decisions} decisions"
        self.controller = controller
        super().__init__(
            problem,
            popsize=popsize,
            center=center_tensor(center_init, num_weights, problem.dtype, meaning),
            num_center_evaluations=popsize // 2
            if num_center_evaluations is None
            else num_center_evaluations,
            baseline=_baseline(baseline, controller),
            seed=seed,
            options=options,
        )

    def _status_getters(self) -> dict[str, Any]:
        return {**super()._status_getters(), "controller_updates": self._get_controller_updates}

    def _get_controller_updates(self) -> int:
        return self.controller.num_updates

    def _decisions(self) -> Tensor | None:
        decisions = self.controller.propose(self._popsize)
        self.controller.space.check(decisions)
        return decisions

    def center_decisions(self) -> Tensor | None:
        """Return the controller's best structure (K,)."""
        return self.controller.best()

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        if decisions is not None:
            self.controller.observe(decisions, fitnesses)

    def _kind(self) -> dict[str, Any]:
        return {**super()._kind(), "controller": type(self.controller).__name__}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the controller's state included."""
        return {**super().state_dict(), "controller": self.controller.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self.controller.load_state_dict(state["controller"])


def _baseline(baseline: str | Baseline | None, controller: Controller) -> Baseline | None:
    if baseline == "structure":
        return StructureBaseline(controller.space)
    if baseline is not None and not isinstance(baseline, Baseline):
        raise StructuredLayersError(
            f"baseline must be 'structure', a Baseline or None, got {baseline!r}"
        )
    return baseline


def _num_weights(problem: Problem, controller: Controller) -> int:
    space = getattr(problem, "search_space", None)
    expected = controller.space.num_decisions
    if space is not None and space.num_decisions != expected:
        raise StructuredLayersError(
            f"the problem's search space has {space.num_decisions} decisions, the controller's "
            f"{expected}; make the controller with the problem's search_space"
        )
    num_weights = int(problem.solution_length) - expected
    if num_weights < 1:
        raise StructuredLayersError(
            f"solutions of length {problem.solution_length} leave no weights beside the "
            f"controller's {expected} decisions; give the PolicyProblem a search_space"
        )
    return num_weights
