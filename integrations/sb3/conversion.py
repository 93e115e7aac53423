"""Replace the linear layers of a Stable-Baselines3 policy by structured ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, cast

from torch import nn

from ...conversion import Conversion, convert_
from ...conversion.targets import parent_and_child
from ...errors import StructuredLayersError
from ...layers import MaskedLinear
from .edge_split import split_edges
from .embedded_decoders import with_embedded_decoders
from .optimizers import rebuilt_optimizers
from .structure import StructureRequest, parse_structure
from .targets import find_targets, online_layers, target_networks

Init = Literal["match", "project"]
Plan = list[tuple[StructureRequest, list[str]]]


def convert_policy(policy: nn.Module, structure: Any, *, init: Init = "match") -> Conversion:
    """Replace ``nn.Linear`` layers of a policy by structured ones, in place.

    Target networks become copies of their online networks, and every optimizer of the policy is
    rebuilt with the same class and options over the new parameters; the state of parameters that
    stayed is kept. Layers of one network share a palette, or a number of edges; actor, critic and
    twin critics never do. After an error the policy is as it was.

    Args:
        policy: the policy of any algorithm of Stable-Baselines3 or sb3-contrib.
        structure: see :func:`~structured_layers.integrations.sb3.structure.parse_structure`. The
            first entry of a list that names a layer counts.
        init: ``match`` draws fresh values of the dense layer's spread, ``project`` starts near the
            present weights.

    Returns:
        What was replaced by what.

    Raises:
        StructuredLayersError: if a target matches nothing or a layer cannot have the structure.
    """
    plan = _plan(policy, parse_structure(with_embedded_decoders(structure)))
    dense = {name: policy.get_submodule(name) for _, names in plan for name in names}
    try:
        reports = [
            report for request, names in plan for report in _convert(policy, request, names, init)
        ]
        replaced = [(old, policy.get_submodule(name)) for name, old in dense.items()]
        copies = _target_copies(policy, [new for _, new in replaced])
        optimizers = rebuilt_optimizers(policy, replaced)
    except BaseException:
        for name, layer in dense.items():
            _put(policy, name, layer)
        raise
    for target, name, layer in copies:
        _put(target, name, layer)
    for owner, optimizer in optimizers:
        vars(owner)["optimizer"] = optimizer
    return Conversion(
        changes=tuple(change for report in reports for change in report.changes),
        dense_weights=sum(report.dense_weights for report in reports),
        weights=sum(report.weights for report in reports),
        dry_run=False,
    )


def resolved_structure(policy: nn.Module, structure: Any) -> Any:
    """Return a structure that says of every learned mask how many edges each layer keeps now.

    These numbers are no tensors: a policy finds them again only in its structure, so that is what
    to store after a conversion with ``init="project"`` or after pruning. Decoders of latent layers
    are in it, not their folders.

    Args:
        policy: a policy that was converted by the structure.
        structure: what it was converted by, None for nothing.
    """
    resolved = with_embedded_decoders(structure)
    learned = {
        name: layer.num_edges
        for name, layer in online_layers(policy).items()
        if isinstance(layer, MaskedLinear) and layer.num_edges is not None
    }
    for entry in resolved if isinstance(resolved, list) else [resolved]:
        if entry is not None and entry["layer"] == "masked" and entry.get("learn_mask"):
            entry["num_edges"] = dict(learned)
    return resolved


def _plan(policy: nn.Module, requests: tuple[StructureRequest, ...]) -> Plan:
    """Return the layers of each request, those of each network apart."""
    plan: Plan = []
    taken: set[str] = set()
    for request in requests:
        networks = find_targets(policy, request.target)
        left = [[n for n in names if n not in taken] for names in networks]
        if not any(left):
            raise StructuredLayersError(
                f"earlier entries of the structure take all layers of target {request.target!r}; "
                "put the entry before them or leave it out"
            )
        taken.update(name for names in networks for name in names)
        plan += [(request, names) for names in left if names and request.layer != "dense"]
    return plan


def _convert(
    policy: nn.Module, request: StructureRequest, names: list[str], init: Init
) -> list[Conversion]:
    edges = _edges_of_layers(policy, request, names)
    calls = [(names, {})] if edges is None else [([n], {"num_edges": edges[n]}) for n in names]
    return [
        convert_(
            policy,
            request.layer,
            target_modules=targets,
            init=init,
            **{**request.keywords, **own},
        )
        for targets, own in calls
    ]


def _edges_of_layers(
    policy: nn.Module, request: StructureRequest, names: list[str]
) -> dict[str, int] | None:
    """Return how many edges each layer keeps, None if the conversion is to decide."""
    num_edges = request.keywords.get("num_edges")
    if isinstance(num_edges, Mapping):
        missing = [name for name in names if name not in num_edges]
        if missing:
            raise StructuredLayersError(
                f"num_edges must name every layer of the target, got none for {', '.join(missing)}"
            )
        return dict(num_edges)
    if not request.keywords.get("learn_mask"):
        return None
    layers = {name: cast(nn.Linear, policy.get_submodule(name)) for name in names}
    shapes = {name: (layer.out_features, layer.in_features) for name, layer in layers.items()}
    return split_edges(num_edges, shapes)


def _target_copies(policy: nn.Module, new: list[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    """Return the target networks' places of new layers, with the copies that belong there."""
    ids = {id(layer) for layer in new}
    places = [
        (target, name, layer)
        for online, target in target_networks(policy)
        for name, layer in online.named_modules(remove_duplicate=False)
        if id(layer) in ids
    ]
    # One copy of all, so that what layers share stays shared.
    copies = copy.deepcopy([layer for _, _, layer in places])
    return [
        (target, name, layer.train(target.get_submodule(name).training))
        for (target, name, _), layer in zip(places, copies, strict=True)
    ]


def _put(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, child = parent_and_child(module, name)
    setattr(parent, child, layer)
