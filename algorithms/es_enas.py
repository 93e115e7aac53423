"""ES-ENAS: a controller proposes a structure for every candidate of an evolution strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import torch
from evotorch import Problem
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from .argument_checks import Center, center_tensor, check_choice, check_integer
from .baselines import Baseline, StructureBaseline
from .controllers import Controller, LocalSearch
from .gradient_sensing import SensingOptions
from .objectives import Objective
from .pareto import ParetoArchive, checked_values
from .phases import Phase
from .saved_states import name_of
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
        objective: what the controller observes, a function of the decisions (n, K) and the returns
            (n,), see :mod:`~structured_layers.algorithms.objectives`; None is the return. The
            weights follow the return.
        num_observed: how many of a generation's objectives, chosen at random, the controller
            observes; None is all.
        phase_length: T. Structures are held for T generations and the controller observes the best
            return that each one came to, averaged over the candidates that held it, as in Chromatic
            Networks; None proposes anew and observes in every generation, as in ES-ENAS.
        num_elites: so many pairs of a generation, or candidates where there are no pairs, get the
            controller's best structure.
        paired_structures: whether the two signs of a pair share their structure.
        center_structures: ``"sampled"`` evaluates θ with structures of the generation as well, as
            often as with the best one, and the forward estimator compares with their mean.
        archive: what is kept of all structures that were evaluated; None keeps nothing.
        seed: of the search's own generator; None draws one from the problem's generator. The
            controller has its own.
        **options: as in :class:`ES`. With ``optimizer="cmaes"`` CMA-ES moves the weights.

    Reference:
        Song et al., ES-ENAS, 2021 (arXiv 2101.07415), Algorithm 1 and C.4; Song et al., Chromatic
        Networks, 2019 (arXiv 1907.06511): phases and the sampled pivot.
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
        objective: Objective | None = None,
        num_observed: int | None = None,
        phase_length: int | None = None,
        num_elites: int = 0,
        paired_structures: bool = False,
        center_structures: str = "best",
        archive: ParetoArchive | None = None,
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
        self._set_objective(objective, num_observed, phase_length)
        self._set_structures(num_elites, paired_structures, center_structures)
        if isinstance(controller, LocalSearch):
            _check_pairs_stay(num_observed, phase_length, num_elites, paired_structures)
        self.archive = archive

    def _set_objective(
        self, objective: Objective | None, num_observed: int | None, phase_length: int | None
    ) -> None:
        if objective is not None and not callable(objective):
            raise StructuredLayersError(
                f"objective must be a function of decisions and returns, or None for the return, "
                f"got {objective!r}"
            )
        if num_observed is not None:
            check_integer("num_observed", num_observed, 1, self._popsize, ", the popsize")
        if phase_length is not None:
            check_integer("phase_length", phase_length, 1)
        self.objective, self.num_observed = objective, num_observed
        self.phase = None if phase_length is None else Phase(phase_length)

    def _set_structures(self, num_elites: int, paired: bool, center_structures: str) -> None:
        check_choice("center_structures", center_structures, ("best", "sampled"))
        if paired and not self._weights.mirrored:
            raise StructuredLayersError(
                "paired_structures needs pairs of candidates: take estimator='antithetic' and no "
                "CMA-ES"
            )
        if center_structures == "sampled":
            if not self._weights.needs_center:
                raise StructuredLayersError(
                    "center_structures='sampled' is what the forward estimator compares with; take "
                    "estimator='forward'"
                )
            self._num_pivots = self._num_center_evaluations
        group = 2 if self._weights.mirrored else 1
        check_integer("num_elites", num_elites, 0, self._popsize // group)
        self._num_elites, self._paired = group * int(num_elites), bool(paired)

    def _status_getters(self) -> dict[str, Any]:
        return {**super()._status_getters(), "controller_updates": self._get_controller_updates}

    def _get_controller_updates(self) -> int:
        return self.controller.num_updates

    def _decisions(self) -> Tensor | None:
        if self.phase is not None and self.phase.decisions is not None:
            return self.phase.decisions
        number = self._popsize // 2 if self._paired else self._popsize
        decisions = self.controller.propose(number)
        if self._paired:
            decisions = decisions.repeat_interleave(2, dim=0)
        self.controller.space.check(decisions)
        decisions = decisions.long()
        if self._num_elites:
            decisions = decisions.clone()
            decisions[: self._num_elites] = self.controller.best()
        return decisions

    def center_decisions(self) -> Tensor | None:
        """Return the controller's best structure (K,)."""
        return self.controller.best()

    def center_merit(self, solution: Tensor, value: float) -> float:
        """Return what the controller's objective makes of the return of a centre (d + K,)."""
        if self.objective is None:
            return value
        objective = getattr(self.objective, "alone", self.objective)
        decisions = solution[len(self._weights.center) :].long()
        return float(objective(decisions[None], torch.tensor([value], dtype=torch.float64))[0])

    def _start_structure(self, decisions: Tensor | None) -> None:
        if decisions is not None:
            self.controller.start_at(decisions)

    def _pivot_decisions(self, decisions: Tensor) -> Tensor:
        """Return structures from all parts of a generation, elites in proportion."""
        rows = torch.arange(self._num_pivots) * len(decisions) // self._num_pivots
        return decisions[rows]

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        if decisions is None:
            return
        if self.archive is not None:
            own = self._kept(self._population)  # the fitness of a failed candidate is not its own
            self.archive.observe(decisions[own], fitnesses[own], self._steps_count + 1)
        if self.phase is not None:
            judged = self.phase.observe(decisions, fitnesses)
            if judged is None:
                return
            decisions, fitnesses = judged
        if self.objective is not None:
            objectives = self.objective(decisions, fitnesses)
            fitnesses = checked_values("the controller's objective", objectives, len(decisions))
        if self.num_observed is not None and self.num_observed < len(decisions):
            order = torch.randperm(len(decisions), generator=self._generator)
            chosen = order[: self.num_observed].sort().values
            decisions, fitnesses = decisions[chosen], fitnesses[chosen]
        self.controller.observe(decisions, fitnesses)

    def _kind(self) -> dict[str, Any]:
        kind = {**super()._kind(), **self.controller.kind()}
        if self.objective is not None:
            kind["objective"] = name_of(self.objective)
        if self.phase is not None:  # it holds a generation
            kind |= {"phase_length": self.phase.length, "popsize": self._popsize}
        if self.archive is not None:
            kind["archive"] = self.archive.name
        return kind

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later generations depend on, the controller's state included."""
        state = {**super().state_dict(), "controller": self.controller.state_dict()}
        for name, part in self._stateful():
            state[name] = part.state_dict()
        return state

    def _stateful(self) -> list[tuple[str, Any]]:
        parts = {"phase": self.phase, "archive": self.archive, "objective": self.objective}
        return [(name, part) for name, part in parts.items() if hasattr(part, "state_dict")]

    def _take_up(self, state: Mapping[str, Any]) -> None:
        super()._take_up(state)
        self.controller.load_state_dict(state["controller"])
        for name, part in self._stateful():
            part.load_state_dict(state[name])


def _baseline(baseline: str | Baseline | None, controller: Controller) -> Baseline | None:
    if baseline == "structure":
        return StructureBaseline(controller.space)
    if baseline is not None and not isinstance(baseline, Baseline):
        raise StructuredLayersError(
            f"baseline must be 'structure', a Baseline or None, got {baseline!r}"
        )
    return baseline


def _check_pairs_stay(
    num_observed: int | None, phase_length: int | None, num_elites: int, paired: bool
) -> None:
    """Raise if a local search would not observe its own pairs: they tell it the noise."""
    given = {"num_observed": num_observed, "phase_length": phase_length}
    given |= {"num_elites": num_elites or None, "paired_structures": paired or None}
    for name, value in given.items():
        if value is not None:
            raise StructuredLayersError(
                f"{name} changes what LocalSearch compares: it proposes pairs of one structure, "
                f"its incumbent among them, in every generation; leave {name} out or take another "
                f"controller, got {value!r}"
            )


def _num_weights(problem: Problem, controller: Controller) -> int:
    if not isinstance(controller, Controller):
        raise StructuredLayersError(
            f"controller must be a Controller such as RandomSearch(space), got {controller!r}"
        )
    space, own = getattr(problem, "search_space", None), controller.space
    expected = own.num_decisions
    if space is not None and space.fingerprint != own.fingerprint:
        raise StructuredLayersError(
            f"the problem's search space is {space.fingerprint}, the controller's "
            f"{own.fingerprint}; make the controller with the problem's search_space"
        )
    num_weights = int(problem.solution_length) - expected
    if num_weights < 1:
        raise StructuredLayersError(
            f"solutions of length {problem.solution_length} leave no weights beside the "
            f"controller's {expected} decisions; give the PolicyProblem a search_space"
        )
    return num_weights
