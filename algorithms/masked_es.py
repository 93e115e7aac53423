"""An evolution strategy that learns weights and the mask over them together."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from evotorch import Problem, SolutionBatch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import SoftMaskedLinear

from .argument_checks import Center, center_tensor, check_schedule_argument
from .gradient_sensing import SensingOptions
from .perturbation import Perturbation
from .schedules import Schedule
from .search_checks import check_problem
from .weight_search import WeightSearch

OPEN = 50.0
"""Temperatures that the logit of a drawn gate lies from zero: the gate is one or zero."""


class MaskedES(WeightSearch):
    """Evolution strategy on θ = (W, S): the weights of a network and the logits of its gates.

    A candidate is rewarded for its return R and for the share 1 − η of edges that it does without,

        u = β·z(R) + (1 − β)·z(1 − η),

    z the distance from the generation's mean in standard deviations. With soft gates a candidate
    uses W ⊙ σ(S/α), and η is the share of gates that are more than half open. With drawn masks it
    uses a given share of the edges, a multinomial draw without replacement from softmax(S/α) over
    the edges of all layers; the share is fixed, or falls by a schedule. The centre uses the edges
    of the largest S/α.

    Args:
        problem: a ``PolicyProblem`` whose network has ``SoftMaskedLinear`` layers, which start half
            open.
        popsize: perturbed candidates per generation.
        center_init: θ at the start, (d,); None is the problem's own network.
        density: share of the edges that a drawn mask opens, in (0, 1]; None for soft gates.
        density_schedule: factor on it in each generation.
        reward_share: β at the start, in (0, 1]; None is 0.9, and 1 for drawn masks, whose shares
            are all the same.
        reward_share_schedule: factor on β in each generation.
        num_center_evaluations: evaluations of θ per generation, on top of ``popsize``.
        seed: of the search's own generator; None draws one from the problem's generator.
        **options: as in :class:`ES`.

    Raises:
        StructuredLayersError: a network without soft gates, or shares out of range.

    Reference:
        Lenc et al., 2019 (arXiv 1906.03139); Song et al., Chromatic Networks, 2019
        (arXiv 1907.06511), 4.1 and E.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        popsize: int = 100,
        center_init: Center | None = None,
        density: float | None = None,
        density_schedule: Schedule | None = None,
        reward_share: float | None = None,
        reward_share_schedule: Schedule | None = None,
        num_center_evaluations: int = 0,
        seed: int | None = None,
        **options: Unpack[SensingOptions],
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_problem(problem)
        network: Any = getattr(problem, "network", None)
        self._gates, self._temperatures = _gates(network)
        _check_shares(density, density_schedule, reward_share, reward_share_schedule)
        self._density, self._density_schedule = density, density_schedule
        default = 0.9 if density is None else 1.0
        self._reward_share = default if reward_share is None else float(reward_share)
        self._reward_share_schedule = reward_share_schedule
        if center_init is None:
            center_init = parameters_to_vector(network.parameters()).detach()
        length = int(problem.solution_length)
        super().__init__(
            problem,
            popsize=popsize,
            center=center_tensor(center_init, length, problem.dtype, ", the parameters"),
            num_center_evaluations=num_center_evaluations,
            baseline=None,
            seed=seed,
            options=options,
        )

    def _status_getters(self) -> dict[str, Any]:
        return {**super()._status_getters(), "usage": self._get_usage}

    def _get_usage(self) -> float:
        return float(self._usages(self.center_solution()[None])[0])

    @property
    def num_open(self) -> int | None:
        """Edges that a mask of the next generation opens, None with soft gates."""
        if self._density is None:
            return None
        factor = _factor("density_schedule", self._density_schedule, self._steps_count)
        share = _share("density times its schedule", self._density * factor)
        return max(1, round(share * len(self._gates)))

    @property
    def reward_share(self) -> float:
        """β of the next generation."""
        schedule = self._reward_share_schedule
        factor = _factor("reward_share_schedule", schedule, self._steps_count)
        return _share("reward_share times its schedule", self._reward_share * factor)

    def _decisions(self) -> Tensor | None:
        return None

    def center_decisions(self) -> Tensor | None:
        """Return None: the gates are among the weights."""
        return None

    def center_solution(self) -> Tensor:
        """Return the centre (d,), its mask the most probable one if masks are drawn."""
        center = self._weights.center.clone()
        if self.num_open is not None:
            self._close(center[None], self._scores(center[None]), self.num_open)
        return center

    def _ask(self) -> tuple[SolutionBatch, Tensor | None, Tensor | None]:
        """Return candidates, then centres, their masks drawn if they are to be."""
        batch, _, _ = super()._ask()
        if self.num_open is not None:
            values = batch.access_values()
            scores = self._scores(values)
            # the largest of log p + Gumbel noise are a draw without replacement
            uniforms = torch.rand(self._popsize, scores.shape[1], generator=self._generator)
            uniforms = uniforms.clamp(min=torch.finfo(uniforms.dtype).tiny)
            scores[: self._popsize] -= (-uniforms.log()).clamp(min=1e-38).log()
            self._close(values, scores, self.num_open)
        return batch, None, None

    def _scores(self, solutions: Tensor) -> Tensor:
        """Return S/α of solutions (n, d): (n, T), log-probabilities but for a constant."""
        return solutions[:, self._gates] / self._temperatures

    def _close(self, solutions: Tensor, scores: Tensor, num_open: int) -> None:
        """Open the gates of the highest scores in place, and close the others."""
        chosen = scores.topk(num_open, dim=1).indices
        sides = torch.full_like(scores, -OPEN).scatter_(1, chosen, OPEN)
        solutions[:, self._gates] = sides * self._temperatures

    def _described(self) -> Perturbation | None:
        return super()._described() if self._density is None else None  # actors draw no masks

    def _usages(self, solutions: Tensor) -> Tensor:
        """Return η of solutions (n, d): (n,)."""
        return (solutions[:, self._gates] > 0).double().mean(dim=1)

    def _evaluate(self, batch: SolutionBatch) -> tuple[Tensor, Tensor]:
        """Return what candidates and centres are rewarded with, in place of their returns."""
        fitnesses, centers = super()._evaluate(batch)
        popsize, beta = self._popsize, self.reward_share
        values = batch.values.as_subclass(Tensor)
        frugality = 1 - self._usages(values)
        returns = torch.cat([fitnesses, centers]).double()
        rewards = beta * _standardized(returns, popsize)
        rewards += (1 - beta) * _standardized(frugality, popsize)
        rewards = rewards.to(fitnesses.dtype)
        return rewards[:popsize], rewards[popsize:]

    def _learn(self, decisions: Tensor | None, fitnesses: Tensor) -> None:
        """The gates have learned with the weights."""

    def _kind(self) -> dict[str, Any]:
        return {**super()._kind(), "masks": "soft" if self._density is None else "drawn"}


def _standardized(values: Tensor, popsize: int) -> Tensor:
    """Return the distances from the candidates' mean in their standard deviations."""
    candidates = values[:popsize]
    spread = candidates.std(correction=0)
    centered = values - candidates.mean()
    return centered / spread if bool(spread > 0) else torch.zeros_like(values)


def _gates(network: Any) -> tuple[Tensor, Tensor]:
    """Return where the logits are among the parameters, and their temperatures: (T,) each."""
    modules = [] if network is None else list(network.modules())
    layers = [module for module in modules if isinstance(module, SoftMaskedLinear)]
    if not layers:
        raise StructuredLayersError(
            "masks are learned by the gates of SoftMaskedLinear, and the problem's network has no "
            "such layer; build it with layer=SoftMaskedLinear"
        )
    starts, start = {}, 0
    for parameter in network.parameters():
        starts[id(parameter)] = start
        start += parameter.numel()
    logits = [layer.logits for layer in layers]
    places = [starts[id(part)] + torch.arange(part.numel()) for part in logits]
    temperatures = [torch.full((layer.logits.numel(),), layer.temperature) for layer in layers]
    return torch.cat(places), torch.cat(temperatures)


def _check_shares(
    density: float | None,
    density_schedule: Schedule | None,
    reward_share: float | None,
    reward_share_schedule: Schedule | None,
) -> None:
    check_schedule_argument("density_schedule", density_schedule)
    check_schedule_argument("reward_share_schedule", reward_share_schedule)
    if density is not None:
        _share("density", density)
        if reward_share is not None or reward_share_schedule is not None:
            raise StructuredLayersError(
                "drawn masks all use the same share of edges, so that reward_share changes "
                "nothing; leave it out, or take density=None for soft gates"
            )
    elif density_schedule is not None:
        raise StructuredLayersError("density_schedule goes with a density, the share at the start")
    if reward_share is not None:
        _share("reward_share", reward_share)


def _factor(name: str, schedule: Schedule | None, generation: int) -> float:
    if schedule is None:
        return 1.0
    factor = schedule(generation)
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise StructuredLayersError(f"{name} must return a number, got {factor!r}")
    return float(factor)


def _share(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise StructuredLayersError(f"{name} must lie in (0, 1], got {value!r}")
    return float(value)
