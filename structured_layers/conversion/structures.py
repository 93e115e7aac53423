"""The names of structures, and the keywords that each of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import StructuredLayersError
from ..layers import (
    ChromaticLinear,
    CirculantLinear,
    HankelLinear,
    LatentLinear,
    LowDisplacementRankLinear,
    MaskedLinear,
    SoftMaskedLinear,
    StructuredLinear,
    ToeplitzLinear,
)
from ..layers.base import check_flag

STRUCTURES: dict[str, type[StructuredLinear] | None] = {
    "dense": None,
    "toeplitz": ToeplitzLinear,
    "hankel": HankelLinear,
    "circulant": CirculantLinear,
    "low_displacement_rank": LowDisplacementRankLinear,
    "chromatic": ChromaticLinear,
    "masked": MaskedLinear,
    "soft_masked": SoftMaskedLinear,
    "latent": LatentLinear,
}
# Conversion takes these besides, or instead of, the keywords of the constructor.
_ADDED: dict[type[StructuredLinear], set[str]] = {ChromaticLinear: {"num_colors", "share_palette"}}
_REMOVED: dict[type[StructuredLinear], set[str]] = {ChromaticLinear: {"colors", "scale"}}

_FLAGS = ("learn_colors", "learn_mask", "share_palette")

StructureName = str | type[StructuredLinear]
Recipe = Mapping[str, StructureName | tuple[StructureName, Mapping[str, Any]]]


@dataclass(frozen=True)
class Structure:
    """A layer class with its keywords; no class stands for a layer that stays dense.

    Attributes:
        layer: the class, or None.
        keywords: what the conversion passes to it.
    """

    layer: type[StructuredLinear] | None
    keywords: dict[str, Any]

    def is_same(self, other: Structure) -> bool:
        """Tell whether two structures ask for the same, so that they may share a palette."""
        mine, others = self.keywords, other.keywords
        same_keys = self.layer is other.layer and mine.keys() == others.keys()
        return same_keys and all(_is_same(mine[key], others[key]) for key in mine)


def single_structure(structure: StructureName, keywords: Mapping[str, Any]) -> Structure:
    """Return a structure that is given by name or class, with all keywords.

    Raises:
        StructuredLayersError: for an unknown name or keyword.
    """
    layer = _layer_class(structure)
    _check_keywords(keywords, {structure: layer})
    return _complete(layer, dict(keywords))


def recipe_structures(recipe: Recipe, keywords: Mapping[str, Any]) -> dict[str, Structure]:
    """Return the structure of every entry of a recipe.

    An entry's own keywords come first; the common ones go to the entries that take them.

    Raises:
        StructuredLayersError: for an unknown name, or a keyword that nothing takes.
    """
    structures, classes = {}, {}
    for pattern, entry in recipe.items():
        name, own = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})
        layer = classes[name] = _layer_class(name)
        if not isinstance(own, Mapping):
            raise StructuredLayersError(
                f"the recipe's pair for {pattern!r} must be a structure and a mapping of its "
                f"keywords, got {own!r}"
            )
        _check_keywords(own, {name: layer})
        accepted = _accepted(layer)
        common = {key: value for key, value in keywords.items() if key in accepted}
        structures[pattern] = _complete(layer, {**common, **own})
    _check_keywords(keywords, classes)
    return structures


def _layer_class(structure: StructureName) -> type[StructuredLinear] | None:
    if isinstance(structure, str) and structure in STRUCTURES:
        return STRUCTURES[structure]
    if isinstance(structure, type) and issubclass(structure, StructuredLinear):
        if not inspect.isabstract(structure):
            return structure
    raise StructuredLayersError(
        f"a structure must be one of {', '.join(STRUCTURES)}, a class of structured layers or a "
        f"mapping from names to these, got {structure!r}"
    )


def _parameters(layer: type[StructuredLinear]) -> dict[str, inspect.Parameter]:
    found = inspect.signature(layer).parameters
    keyword_only = {k: p for k, p in found.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    return {k: p for k, p in keyword_only.items() if k not in ("device", "dtype")}


def _accepted(layer: type[StructuredLinear] | None) -> set[str]:
    if layer is None:
        return set()
    return (_parameters(layer).keys() | _ADDED.get(layer, set())) - _REMOVED.get(layer, set())


def _check_keywords(
    keywords: Mapping[str, Any], classes: Mapping[Any, type[StructuredLinear] | None]
) -> None:
    """Refuse keywords that none of the classes takes."""
    accepted = set().union(*map(_accepted, classes.values()))
    unknown = sorted(map(str, keywords.keys() - accepted))
    if unknown:
        names = ", ".join(n if isinstance(n, str) else n.__name__ for n in classes)
        takes = f"takes {', '.join(sorted(accepted))}" if accepted else "takes no keywords"
        raise StructuredLayersError(f"{names} {takes}; got {', '.join(unknown)}")


def _complete(layer: type[StructuredLinear] | None, keywords: dict[str, Any]) -> Structure:
    """Refuse a structure that lacks a keyword without a default, or has no truth where one goes."""
    for name in keywords.keys() & set(_FLAGS):
        check_flag(name, keywords[name])
    if layer is not None and layer is not ChromaticLinear:
        needed = {k for k, p in _parameters(layer).items() if p.default is inspect.Parameter.empty}
        if needed - keywords.keys():
            missing = ", ".join(sorted(needed - keywords.keys()))
            raise StructuredLayersError(f"{layer.__name__} needs {missing}; pass it by keyword")
    return Structure(layer, keywords)


def _is_same(first: Any, second: Any) -> bool:
    plain = isinstance(first, (bool, int, float, str)) and type(first) is type(second)
    return first is second or (plain and bool(first == second))
