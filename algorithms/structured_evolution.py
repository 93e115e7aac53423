"""Structured evolution: compact Toeplitz policies, sensed in structured directions."""

from __future__ import annotations

from dataclasses import dataclass

from evotorch import Problem
from torch import nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import ToeplitzLinear
from structured_layers.networks import mlp

from .argument_checks import Center, check_choice
from .evolution_strategy import ES

VARIANTS = ("STST", "STUN", "UNUN")
STRUCTURED_DIRECTIONS = ("orthogonal", "hadamard")

TOEPLITZ_UNITS, DENSE_UNITS = 41, 32
LARGEST_POWER = 256  # the smallest number of parameters that a network is shrunk to


@dataclass(frozen=True)
class StructuredEvolutionNetwork:
    """The policy of a variant: two hidden layers of tanh units, no biases at the outputs.

    Attributes:
        layer: ``"toeplitz"`` or ``"dense"``.
        hidden: sizes of the two hidden layers.
        num_parameters: weights and hidden biases.
    """

    layer: str
    hidden: tuple[int, int]
    num_parameters: int

    def build(self, observations: int, outputs: int) -> nn.Module:
        """Return the network, freshly initialised."""
        layer = ToeplitzLinear if self.layer == "toeplitz" else nn.Linear
        return mlp(observations, self.hidden, outputs, layer=layer, output_bias=False)


def structured_evolution_network(
    variant: str, observations: int, outputs: int, *, directions: str = "orthogonal"
) -> StructuredEvolutionNetwork:
    """Return the policy that a variant trains.

    STST and STUN have Toeplitz matrices and 41 units a layer. For Hadamard directions the two
    layers shrink together until they have at most a power of two of parameters, 256 or more, so
    that padding costs least. UNUN is dense with 32 units a layer.

    Args:
        variant: ``"STST"``, ``"STUN"`` or ``"UNUN"``.
        observations: s.
        outputs: a.
        directions: what STST senses in, ``"orthogonal"`` or ``"hadamard"``.

    Examples:
        >>> structured_evolution_network("STST", 17, 6).num_parameters  # HalfCheetah
        266
        >>> structured_evolution_network("STST", 17, 6, directions="hadamard")
        StructuredEvolutionNetwork(layer='toeplitz', hidden=(39, 39), num_parameters=254)
    """
    check_choice("variant", variant, VARIANTS)
    check_choice("directions", directions, STRUCTURED_DIRECTIONS)
    if variant == "UNUN":
        h = DENSE_UNITS
        size = observations * h + h * h + h * outputs + 2 * h
        return StructuredEvolutionNetwork("dense", (h, h), size)
    # (s + h1 − 1) + (h1 + h2 − 1) + (h2 + a − 1) weights and h1 + h2 biases
    fixed, units = observations + outputs - 3, 2 * TOEPLITZ_UNITS
    if directions == "hadamard":
        power = max(LARGEST_POWER, 1 << ((fixed + 3 * units).bit_length() - 1))
        units = min(units, (power - fixed) // 3)
        if units < 2:
            raise StructuredLayersError(
                f"no network from {observations} observations to {outputs} outputs has at most "
                f"{power} parameters; take directions='orthogonal'"
            )
    return StructuredEvolutionNetwork(
        "toeplitz", (units - units // 2, units // 2), fixed + 3 * units
    )


class StructuredEvolution(ES):
    """The evolution strategy of structured evolution, a preset of :class:`ES`.

    Adam with step size 0.01, σ = 0.02 and no heuristics at all: fitnesses are not shaped,
    observations not normalised, and the alive bonus is kept. STST (structured network, structured
    directions) senses in ``directions``, STUN and UNUN in independent Gaussian ones.

    Args:
        problem: without observation normalisation, its fitness with the alive bonus.
        variant: ``"STST"``, ``"STUN"`` or ``"UNUN"``; the network is
            :func:`structured_evolution_network`'s.
        directions: of STST, ``"orthogonal"`` or ``"hadamard"``.
        estimator: as in :class:`ES`.
        popsize: perturbed candidates per generation.
        center_init: θ at the start; None draws it as the problem draws solutions.
        num_center_evaluations: evaluations of θ per generation.
        seed: of the search's own generator; None draws one from the problem's generator.

    Reference:
        Choromanski et al., Structured Evolution with Compact Architectures for Scalable Policy
        Optimization, ICML 2018 (arXiv 1804.02395).
    """

    def __init__(
        self,
        problem: Problem,
        variant: str = "STST",
        *,
        directions: str = "orthogonal",
        estimator: str = "antithetic",
        popsize: int = 100,
        center_init: Center | None = None,
        num_center_evaluations: int = 0,
        seed: int | None = None,
    ) -> None:
        """Set up the search; nothing is evaluated yet."""
        check_choice("variant", variant, VARIANTS)
        check_choice("directions", directions, STRUCTURED_DIRECTIONS)
        _check_problem(problem)
        super().__init__(
            problem,
            popsize=popsize,
            center_init=center_init,
            stdev_init=0.02,
            center_learning_rate=0.01,
            optimizer="adam",
            ranking_method="raw",
            estimator=estimator,
            directions=directions if variant == "STST" else "gaussian",
            num_center_evaluations=num_center_evaluations,
            seed=seed,
        )


def _check_problem(problem: Problem) -> None:
    if getattr(problem, "normalizer", None) is not None:
        raise StructuredLayersError(
            "StructuredEvolution needs a problem with observation_normalization=False"
        )
    if not getattr(problem, "alive_bonus", True):
        raise StructuredLayersError("StructuredEvolution needs a problem with alive_bonus=True")
