"""Which layers become what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..errors import StructuredLayersError
from .structures import Recipe, Structure, StructureName, recipe_structures, single_structure
from .targets import Layers, Pattern

Group = tuple[Structure, dict[str, nn.Linear]]


def plan_conversion(
    module: nn.Module,
    structure: StructureName | Recipe,
    target_modules: Pattern | None,
    exclude_modules: Pattern | None,
    keywords: Mapping[str, Any],
) -> list[Group]:
    """Return the structures with their targets; targets of the same structure are one group.

    Raises:
        StructuredLayersError: if something matches nothing, is unknown or cannot be converted.
    """
    layers = Layers(module)
    wanted = None if target_modules is None else layers.match(target_modules, "target_modules")
    excluded = [] if exclude_modules is None else layers.match(exclude_modules, "exclude_modules")
    if isinstance(structure, Mapping):
        entries = _recipe_entries(layers, recipe_structures(structure, keywords))
    else:
        names = layers.dense() if wanted is None else wanted
        entries = [(single_structure(structure, keywords), names)]
    groups: list[Group] = []
    taken = set(excluded)
    for asked, names in entries:
        chosen = [n for n in names if n not in taken and (wanted is None or n in wanted)]
        taken.update(names)
        if asked.layer is not None and chosen:
            _add(groups, asked, layers.checked(chosen))
    if not groups and not _leaves_all_dense(entries):
        raise StructuredLayersError(f"there is nothing to convert; {layers.listing()}")
    return groups


def _recipe_entries(
    layers: Layers, recipe: Mapping[str, Structure]
) -> list[tuple[Structure, list[str]]]:
    if not recipe:
        raise StructuredLayersError(f"the recipe is empty; {layers.listing()}")
    return [
        (asked, layers.match([key] if key in layers.by_name else key, "the recipe"))
        for key, asked in recipe.items()
    ]


def _add(groups: list[Group], asked: Structure, linears: dict[str, nn.Linear]) -> None:
    for present, targets in groups:
        if present.is_same(asked):
            targets.update(linears)
            return
    groups.append((asked, linears))


def _leaves_all_dense(entries: list[tuple[Structure, list[str]]]) -> bool:
    return all(asked.layer is None and names for asked, names in entries)
