"""Replace the dense layers of a network by structured ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from ..errors import StructuredLayersError
from ..layers import StructuredLinear
from ..metrics.inventory import take_inventory
from .building import build_layers, kept_palettes
from .plan import plan_conversion
from .report import Change, Conversion
from .structures import Recipe, StructureName
from .targets import Pattern, parent_and_child

INITS = ("project", "match")


def convert_(
    module: nn.Module,
    structure: StructureName | Recipe,
    *,
    target_modules: Pattern | None = None,
    exclude_modules: Pattern | None = None,
    init: Literal["project", "match"] = "project",
    dry_run: bool = False,
    **structure_keywords: Any,
) -> Conversion:
    """Replace ``nn.Linear`` layers by structured ones, in place.

    Biases, device, dtype, training mode and ``requires_grad`` stay. All layers are built before the
    first one is replaced, so an error leaves the module as it was. An optimizer that was made
    before holds the old parameters: make it after the conversion.

    Chromatic targets share one palette and have a trained scale each: k-means over the weights of
    all targets, each layer's standard deviation divided out. Masked targets share ``num_edges``:
    the largest weights of all of them survive, at least one in each layer. Other structures are
    fitted layer by layer, see their ``from_linear``.

    Args:
        module: the network that is changed. It cannot be an ``nn.Linear`` itself.
        structure: ``toeplitz``, ``hankel``, ``circulant``, ``low_displacement_rank``,
            ``chromatic``, ``masked``, ``soft_masked``, ``latent``, or a class of structured layers;
            ``dense`` leaves layers as they are. Or a recipe: a mapping from full dotted names, or
            regular expressions for them, to structures or to pairs (structure, keywords). The first
            entry that matches a layer counts, layers that no entry matches stay dense.
        target_modules: a regular expression that the full dotted name has to match as a whole, or a
            list of full dotted names; by default all layers that are exactly ``nn.Linear``.
        exclude_modules: what to leave out of these, in the same way.
        init: ``project`` starts near the present weights, ``match`` draws fresh values and gives
            each weight the standard deviation of the dense one.
        dry_run: whether to only report what would change.
        **structure_keywords: what the structure needs, such as ``num_colors=17``, ``num_edges=64``,
            ``rank=2`` or, for ``latent``, ``decoder=``, a module or its folder, which serves layers
            of one shape. ``share_palette=False`` gives each chromatic layer its own palette.

    Returns:
        What was replaced by what, with the relative error of each weight.

    Raises:
        StructuredLayersError: if a target matches nothing or cannot be converted, by its full
            dotted name, and for unknown structures and keywords.

    Examples:
        >>> network = nn.Sequential(nn.Linear(17, 41), nn.Tanh(), nn.Linear(41, 6))
        >>> convert_(network, "chromatic", num_colors=17, dry_run=True).names
        ('0', '2')
        >>> report = convert_(network, {"0": "toeplitz", "2": ("masked", {"num_edges": 40})})
        >>> report.dense_weights, report.weights
        (943, 97)
        >>> network
        Sequential(
          (0): ToeplitzLinear(17 → 41, bias=True)
          (1): Tanh()
          (2): MaskedLinear(41 → 6, edges=40, bias=True)
        )
    """
    _check_arguments(module, init)
    if dry_run:
        # What the caller passed in, a palette for example, must not change either.
        structure, structure_keywords = copy.deepcopy((structure, structure_keywords))
    groups = plan_conversion(module, structure, target_modules, exclude_modules, structure_keywords)
    dense = {name: linear for _, linears in groups for name, linear in linears.items()}
    gpus = {p.device.index for p in module.parameters() if p.device.type == "cuda"}
    with kept_palettes(groups), torch.random.fork_rng(sorted(gpus), enabled=dry_run):
        built: dict[str, StructuredLinear] = {}
        for group, linears in groups:
            built |= build_layers(group, linears, init == "project")
    if not dry_run:
        for name, layer in built.items():
            parent, child = parent_and_child(module, name)
            setattr(parent, child, layer)
    return _report(dense, built, init == "project", dry_run)


def _check_arguments(module: nn.Module, init: str) -> None:
    if not isinstance(module, nn.Module):
        raise StructuredLayersError(f"convert_ needs a module, got a {type(module).__name__}")
    if isinstance(module, nn.Linear):
        raise StructuredLayersError(
            "an nn.Linear cannot be replaced in place, since it is the module itself; use "
            "from_linear, as in ToeplitzLinear.from_linear(linear)"
        )
    if init not in INITS:
        raise StructuredLayersError(f"init must be one of {', '.join(INITS)}, got {init!r}")


def _report(
    dense: Mapping[str, nn.Linear],
    built: Mapping[str, StructuredLinear],
    project: bool,
    dry_run: bool,
) -> Conversion:
    changes = [
        Change(
            name, repr(linear), repr(built[name]), _error(linear, built[name]) if project else None
        )
        for name, linear in dense.items()
    ]
    return Conversion(
        changes=tuple(changes),
        dense_weights=sum(linear.weight.numel() for linear in dense.values()),
        weights=take_inventory(nn.ModuleList(built.values())).weights,
        dry_run=dry_run,
    )


@torch.no_grad()
def _error(linear: nn.Linear, layer: StructuredLinear) -> float:
    norm = float(linear.weight.float().norm())
    return float((linear.weight - layer.weight).float().norm()) / norm if norm else 0.0
