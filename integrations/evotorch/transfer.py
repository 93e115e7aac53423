"""The best structures of a run, held by another one that learns weights for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from structured_layers.algorithms import ESENAS, FixedPopulation, SearchSpace
from structured_layers.algorithms.checkpoints import read_checkpoint
from structured_layers.algorithms.search_spaces import ProductSpace, UnitActivationChoice
from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import DAMAGE
from structured_layers.specs import NetworkSpec

from .run_config import RunConfig
from .run_files import read_run_config
from .run_parts import Parts, build
from .run_variants import DEFAULT_TOP


class KnownStructures(NamedTuple):
    """What a run knows of structures: the network, their space, the best ones (m, K) in order."""

    name: str
    spec: NetworkSpec
    space: SearchSpace
    decisions: Tensor


def read_structures(folder: str | Path, top: int) -> KnownStructures:
    """Return the ``top`` structures that the controller of a run holds to be the best.

    Raises:
        CheckpointError: not a run, or one that is damaged.
        StructuredLayersError: it searched no structures, or knows fewer of them.
    """
    folder = Path(folder)
    config = read_run_config(folder, to_resume=True)
    state = read_checkpoint(folder / "checkpoint")
    parts = build(config)
    search, space = parts.search, parts.problem.search_space
    if space is None:
        raise StructuredLayersError(
            f"{folder} searched no structures: it is of structure {config.structure}"
        )
    try:
        search.load_state_dict(state["search"])
    except DAMAGE as error:
        raise CheckpointError(f"{folder}/checkpoint is not of this run: {error}") from error
    if isinstance(search, ESENAS):
        decisions = search.controller.ranked(top)
    else:
        decisions = torch.as_tensor(search.center_decisions())[None]
    if len(decisions) < top:
        raise StructuredLayersError(
            f"{folder} knows {len(decisions)} structures by their returns and {top} were asked "
            f"for; take --top {len(decisions)}, or a run of another controller: regularised "
            f"evolution, policy gradient and a fixed population remember more"
        )
    return KnownStructures(str(folder), parts.spec, space, decisions)


def hold_as_configured(config: RunConfig, parts: Parts) -> None:
    """Let a new search hold the structures of the run that its settings name, if they name one.

    Raises:
        StructuredLayersError: they cannot be read, or do not fit.
    """
    if config.init_topologies is not None:
        hold_structures(read_structures(config.init_topologies, config.top or DEFAULT_TOP), parts)


def hold_structures(known: KnownStructures, parts: Parts) -> None:
    """Let the fixed population of a search that has not begun be the structures of another run.

    Raises:
        StructuredLayersError: networks or spaces of different shapes, or other activations.
    """
    # biases are no part of a structure
    if replace(known.spec, output_bias=parts.spec.output_bias) != parts.spec:
        raise StructuredLayersError(
            f"structures are passed on between networks of one shape: that of {known.name} is "
            f"{_described(known.spec)}, that of this run {_described(parts.spec)}; take the same "
            f"settings, and an environment with as many observations and actions"
        )
    space, search = parts.problem.search_space, parts.search
    if space is None or _shape(space) != _shape(known.space):
        raise StructuredLayersError(
            f"structures are passed on between equal search spaces: that of {known.name} has "
            f"{known.space.num_decisions} decisions for {known.space.num_edges} entries, that of "
            f"this run {0 if space is None else space.num_decisions} for "
            f"{0 if space is None else space.num_edges}; take the same --num-edges and other "
            f"settings of the structure"
        )
    if _activations(space) != _activations(known.space):
        raise StructuredLayersError(
            f"a structure says of each unit which activation of a list it has: that of "
            f"{known.name} is {' '.join(_activations(known.space))}, that of this run "
            f"{' '.join(_activations(space))}; take the same --unit-activations in the same order"
        )
    if not isinstance(search, ESENAS) or not isinstance(search.controller, FixedPopulation):
        raise StructuredLayersError("structures of another run are held by the controller fixed")
    search.controller.hold(known.decisions)


def _shape(space: SearchSpace) -> tuple[type, list[int], list[slice], int]:
    return type(space), space.num_choices.tolist(), space.distinct_groups, space.num_edges


def _activations(space: SearchSpace) -> list[str]:
    """Return the activations that units choose from, in the order of their numbers."""
    factors = space.factors if isinstance(space, ProductSpace) else (space,)
    return [kind for f in factors if isinstance(f, UnitActivationChoice) for kind in f.kinds]


def _described(spec: NetworkSpec) -> str:
    sizes = "-".join(map(str, (spec.in_features, *spec.hidden, spec.out_features)))
    colors = "" if spec.num_colors is None else f" of {spec.num_colors} colours"
    return f"{sizes}, {spec.layer}{colors}{', skipping layers' if spec.skip else ''}"
