"""The variants of ES-ENAS that a run's settings choose: what the controller sees, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from structured_layers.algorithms import (
    BitCount,
    EdgeCount,
    Limit,
    MultiplicationCount,
    ParetoArchive,
    Penalty,
    SearchSpace,
    TargetEdges,
)
from structured_layers.algorithms.objectives import Objective, check_target, most_edges
from structured_layers.algorithms.pareto import Cost
from structured_layers.errors import StructuredLayersError

if TYPE_CHECKING:
    from .run_config import RunConfig

DEFAULT_TOP = 5
DEFAULT_EXPONENTS = (0.0, -1.0)

COSTS: dict[str, Callable[[nn.Module, SearchSpace], Cost]] = {
    "edges": lambda network, space: EdgeCount(space),
    "bits": BitCount,
    "multiplications": MultiplicationCount,
}

_UNSET = {
    "num_observed": None,
    "phase_length": None,
    "num_elites": 0,
    "paired_structures": False,
    "center_structures": "best",
    "cost": None,
    "target_edges": None,
    "init_topologies": None,
}
# The controllers of these move structure and weights by rules of their own.
_WITHOUT_VARIANTS = ("latent", "magnitude")
# A local search compares pairs of one structure within a generation, and keeps its incumbent there.
_NOT_IN_LOCAL_SEARCH = ("num_observed", "phase_length", "num_elites", "paired_structures")
# What leaves a local search without pairs of opposite signs, whose mean it needs.
_WITHOUT_PAIRS = (("estimator", ("forward", "vanilla")), ("optimizer", ("cmaes",)))


def check_variants(config: RunConfig) -> None:
    """Refuse variants that do not work, and those that others would leave without use.

    Raises:
        StructuredLayersError: naming the setting.
    """
    given = [name for name, unset in _UNSET.items() if getattr(config, name) != unset]
    if given and (not config.is_searched or config.controller in _WITHOUT_VARIANTS):
        raise StructuredLayersError(
            f"{given[0]} goes with a controller that proposes structures, got structure "
            f"{config.structure} and controller {config.controller or 'none'}"
        )
    for name in given:
        if config.controller == "local-search" and name in _NOT_IN_LOCAL_SEARCH:
            raise StructuredLayersError(
                f"{name} changes what a local search compares: it proposes pairs of one structure, "
                f"its incumbent among them, in every generation; leave it out or take another "
                f"controller"
            )
    _check_pairs(config)
    _check_phases(config)
    _check_cost(config)
    _check_target(config)
    _check_transfer(config)


def _check_pairs(config: RunConfig) -> None:
    # with no mutation a structure is held, and nothing is compared
    if config.controller != "local-search" or config.num_mutations == 0:
        return
    for name, values in _WITHOUT_PAIRS:
        if getattr(config, name) in values:
            raise StructuredLayersError(
                f"{name} {getattr(config, name)} makes no pairs of opposite signs, by which a "
                f"local search compares structures; take estimator antithetic and another "
                f"optimizer than cmaes, or hold the structure with num_mutations 0"
            )


def _check_phases(config: RunConfig) -> None:
    if config.phase_length is None:
        return
    # an episode has one step at least
    steps = (config.popsize + config.center_evaluations) * config.num_episodes
    if config.phase_length * steps > config.total_steps:
        raise StructuredLayersError(
            f"phase_length {config.phase_length} is too long for a phase to end: a generation "
            f"takes {steps} environment steps or more, and total_steps is {config.total_steps}"
        )


def _check_cost(config: RunConfig) -> None:
    for name in ("cost_weight", "cost_limit"):
        value = getattr(config, name)
        if value is not None and config.cost is None:
            raise StructuredLayersError(f"{name} goes with cost edges, bits or multiplications")
        if value is not None and not 0 < value < float("inf"):
            raise StructuredLayersError(f"{name} must be a positive number, got {value}")
    if config.cost_weight is not None and config.cost_limit is not None:
        raise StructuredLayersError(
            "cost_weight makes the cost a penalty and cost_limit a constraint; leave one of them "
            "out"
        )
    varied = ("edge-mask", "chromatic") if config.cost == "multiplications" else ("edge-mask",)
    if config.cost is not None and config.structure not in varied:
        raise StructuredLayersError(
            f"cost {config.cost} goes with structure {' or '.join(varied)}: all structures of "
            f"{config.structure} cost the same"
        )


def _check_target(config: RunConfig) -> None:
    if config.target_edges is None:
        for name, unset in (("target_exponents", None), ("objective_shift", 0.0)):
            if getattr(config, name) != unset:
                raise StructuredLayersError(f"{name} goes with target_edges")
        return
    exponents = config.target_exponents or DEFAULT_EXPONENTS
    check_target(config.target_edges, exponents, config.objective_shift)
    if config.structure != "edge-mask":
        raise StructuredLayersError(
            f"target_edges goes with structure edge-mask, whose masks have different numbers of "
            f"edges, got structure {config.structure}; of edges num_edges says how many stay"
        )
    if config.cost_weight is not None or config.cost_limit is not None:
        raise StructuredLayersError(
            "target_edges is one objective and a cost with a weight or a limit another one; leave "
            "one of them out"
        )


def _check_transfer(config: RunConfig) -> None:
    if config.init_topologies is None:
        if config.top is not None:
            raise StructuredLayersError("top goes with init_topologies, the run to take them from")
        return
    if config.top is not None and config.top < 1:
        raise StructuredLayersError(f"top must be at least 1, got {config.top}")
    if config.controller != "fixed" or config.controller_population is not None:
        raise StructuredLayersError(
            "init_topologies goes with controller fixed, which holds the structures, and without "
            "controller_population, which top is here"
        )


def variant_options(config: RunConfig, network: nn.Module, space: SearchSpace) -> dict[str, Any]:
    """Return the keywords of ``ESENAS`` that a run's settings choose."""
    cost_name = config.cost or ("edges" if config.target_edges is not None else None)
    cost = None if cost_name is None else COSTS[cost_name](network, space)
    return {
        "objective": _objective(config, space, cost),
        "archive": None if cost is None else ParetoArchive(cost, name=str(cost_name)),
        "num_observed": config.num_observed,
        "phase_length": config.phase_length,
        "num_elites": config.num_elites,
        "paired_structures": config.paired_structures,
        "center_structures": config.center_structures,
    }


def _objective(config: RunConfig, space: SearchSpace, cost: Cost | None) -> Objective | None:
    if config.target_edges is not None:
        exponents = config.target_exponents or DEFAULT_EXPONENTS
        below, above = exponents
        shift = config.objective_shift
        return TargetEdges(space, config.target_edges, exponents=(below, above), shift=shift)
    if cost is not None and config.cost_weight is not None:
        return Penalty(cost, config.cost_weight)
    if cost is not None and config.cost_limit is not None:
        if config.cost == "edges" and config.cost_limit >= most_edges(space):
            raise StructuredLayersError(
                f"cost_limit must be less than all {most_edges(space)} edges that there are, or "
                f"every structure keeps within it, got {config.cost_limit:g}"
            )
        return Limit(cost, config.cost_limit)
    return None
