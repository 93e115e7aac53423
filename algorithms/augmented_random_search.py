"""Augmented random search: four settings of the evolution strategy, as published."""

from __future__ import annotations

from dataclasses import dataclass

from evotorch import Problem

from structured_layers.errors import StructuredLayersError

from .argument_checks import Center, check_choice, check_integer, check_positive
from .evolution_strategy import ES
from .search_checks import check_problem

VARIANTS = ("V1", "V1-t", "V2", "V2-t")


@dataclass(frozen=True)
class ARSSettings:
    """The numbers of an ARS run.

    Attributes:
        num_directions: N, pairs per generation.
        num_top: b, the pairs that a step of V1-t and V2-t follows.
        step_size: α.
        noise: ν, the standard deviation of the perturbations.
    """

    num_directions: int
    num_top: int
    step_size: float
    noise: float


ARS_SETTINGS = {
    "Swimmer": ARSSettings(1, 1, 0.02, 0.01),
    "Hopper": ARSSettings(8, 4, 0.01, 0.025),
    "HalfCheetah": ARSSettings(32, 4, 0.02, 0.03),
    "Walker2d": ARSSettings(40, 30, 0.03, 0.025),
    "Ant": ARSSettings(60, 20, 0.015, 0.025),
    "Humanoid": ARSSettings(230, 230, 0.02, 0.0075),
}
"""The published settings of V2-t, by the environment's name without its version."""

V1_SETTINGS = {"Swimmer": ARSSettings(4, 4, 0.08, 0.1)}
"""Settings of V1 of our own, where those of V2-t fail: observations that are not normalised need
other noise (benchmarks/ars_settings.py compares them)."""

OTHER_TASKS = ARSSettings(8, 4, 0.02, 0.03)
"""For environments without published settings."""


def ars_settings(variant: str, env: object = None) -> ARSSettings:
    """Return the settings of a variant in an environment.

    Args:
        variant: ``"V1"``, ``"V1-t"``, ``"V2"`` or ``"V2-t"``.
        env: a Gymnasium id; of anything else nothing is known.

    Examples:
        >>> ars_settings("V2-t", "HalfCheetah-v5")
        ARSSettings(num_directions=32, num_top=4, step_size=0.02, noise=0.03)
    """
    name = env.rpartition("/")[2].partition("-v")[0] if isinstance(env, str) else ""
    published = ARS_SETTINGS.get(name, OTHER_TASKS)
    return V1_SETTINGS.get(name, published) if variant == "V1" else published


class ARS(ES):
    """Augmented random search, a preset of :class:`ES`.

    One generation: θ ← θ + α/(b σ_R) Σ_{k ≤ b} (r(θ + νδ_k) − r(θ − νδ_k)) δ_k over the b pairs of
    the highest max(r⁺, r⁻), σ_R the standard deviation of their 2b returns. V1 and V2 take all N
    pairs. V2 and V2-t normalise observations by running statistics that change once a generation;
    V1 and V1-t do not normalise. The reward for being alive is left out, and θ starts at zero.

    The step is plain gradient ascent: ES divides by 2bν, so its step size is 2να.

    Args:
        problem: whose observations are normalised, and alive bonus left out, as the variant says.
        variant: ``"V1"``, ``"V1-t"``, ``"V2"`` or ``"V2-t"``.
        num_directions: N; None takes N, α and ν, whichever are None, from :func:`ars_settings` of
            the problem's environment.
        num_top: b, for V1-t and V2-t; None is theirs, at most N.
        step_size: α.
        noise: ν.
        center_init: θ at the start; None is zero.
        num_center_evaluations: evaluations of θ per generation, which ARS itself does not make.
        seed: of the search's own generator; None draws one from the problem's generator.

    Examples:
        >>> from evotorch import Problem
        >>> sphere = Problem("max", lambda x: -((x - 1) ** 2).sum(-1), solution_length=4,
        ...                  initial_bounds=(-1, 1), vectorized=True)
        >>> search = ARS(sphere, "V1-t", num_directions=8, num_top=4, seed=0)
        >>> search.run(200)
        >>> bool((search.status["center"] - 1).norm() < 0.3)
        True

    Reference:
        Mania, Guy, Recht, Simple random search of static linear policies, NeurIPS 2018
        (arXiv 1803.07055), Algorithm 2.
    """

    def __init__(
        self,
        problem: Problem,
        variant: str = "V2-t",
        *,
        num_directions: int | None = None,
        num_top: int | None = None,
        step_size: float | None = None,
        noise: float | None = None,
        center_init: Center | None = None,
        num_center_evaluations: int = 0,
        seed: int | None = None,
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_choice("variant", variant, VARIANTS)
        check_problem(problem)
        _check_fit(problem, variant)
        settings = _settings(problem, variant, num_directions, num_top, step_size, noise)
        super().__init__(
            problem,
            popsize=2 * settings.num_directions,
            center_init=[0.0] * problem.solution_length if center_init is None else center_init,
            stdev_init=settings.noise,
            center_learning_rate=2 * settings.noise * settings.step_size,
            optimizer="sgd",
            ranking_method="std",
            num_top=settings.num_top if variant.endswith("-t") else None,
            top_rule="max",
            num_center_evaluations=num_center_evaluations,
            seed=seed,
        )


def _settings(
    problem: Problem,
    variant: str,
    num_directions: int | None,
    num_top: int | None,
    step_size: float | None,
    noise: float | None,
) -> ARSSettings:
    """Return what is given, and what is not from the settings of the environment."""
    known = ars_settings(variant, getattr(problem, "env", None))
    num_directions = known.num_directions if num_directions is None else num_directions
    step_size = known.step_size if step_size is None else step_size
    noise = known.noise if noise is None else noise
    check_integer("num_directions", num_directions, 1)
    check_positive("step_size", step_size)
    check_positive("noise", noise)
    if num_top is not None and not variant.endswith("-t"):
        raise StructuredLayersError(
            f"num_top goes with V1-t and V2-t and only with them, got {variant} and {num_top}"
        )
    num_top = min(known.num_top, num_directions) if num_top is None else num_top
    check_integer("num_top", num_top, 1, num_directions, ", the number of directions")
    return ARSSettings(num_directions, num_top, step_size, noise)


def _check_fit(problem: Problem, variant: str) -> None:
    normalizes = getattr(problem, "normalizer", None) is not None
    if hasattr(problem, "normalizer") and normalizes != variant.startswith("V2"):
        raise StructuredLayersError(
            f"ARS {variant} needs a problem with "
            f"observation_normalization={variant.startswith('V2')}"
        )
    if getattr(problem, "alive_bonus", False):
        raise StructuredLayersError("ARS needs a problem with alive_bonus=False")
