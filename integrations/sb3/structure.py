"""What ``policy_kwargs["structure"]`` may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...conversion.structures import STRUCTURES, single_structure
from ...errors import StructuredLayersError

PRESETS = ("actor", "critic", "all")
DEPLOYED = "actor"
FORM = (
    "structure must be a dict such as {'layer': 'toeplitz', 'target': 'actor'} or a list of such "
    "dicts"
)

PlainStructure = Mapping[str, Any] | list[Mapping[str, Any]]


@dataclass(frozen=True)
class StructureRequest:
    """One entry of a structure: which layers become what.

    Attributes:
        layer: name of the structure, as :func:`~structured_layers.convert_` knows it.
        target: ``actor``, ``critic``, ``all``, a regular expression, or full dotted names.
        keywords: what the structure needs, such as ``num_colors``.
    """

    layer: str
    target: str | tuple[str, ...]
    keywords: Mapping[str, Any]


def parse_structure(structure: Any) -> tuple[StructureRequest, ...]:
    """Return the entries of a structure, checked as far as that goes without a policy.

    Args:
        structure: ``{"layer": NAME, "target": TARGET, **keywords}`` or a list of such dicts, of
            plain values (YAML has them all). NAME is a structure of
            :func:`~structured_layers.convert_`. TARGET is ``actor`` (the default: what is
            deployed; the Q-network of DQN and QRDQN), ``critic``, ``all``, a regular expression
            that matches full dotted names, or a list of these names.

    Raises:
        StructuredLayersError: if it has another form, or a name or keyword that does not exist.

    Examples:
        >>> parse_structure({"layer": "chromatic", "num_colors": 17})
        (StructureRequest(layer='chromatic', target='actor', keywords={'num_colors': 17}),)
    """
    entries = structure if isinstance(structure, (list, tuple)) else [structure]
    if not entries:
        raise StructuredLayersError(f"{FORM}, got an empty list")
    return tuple(_parse_entry(entry) for entry in entries)


def plain_structure(structure: Any) -> Any:
    """Return a copy of a structure in which nothing is shared with the original."""
    if isinstance(structure, Mapping):
        return {key: plain_structure(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [plain_structure(value) for value in structure]
    return structure


def _parse_entry(entry: Any) -> StructureRequest:
    if not isinstance(entry, Mapping):
        raise StructuredLayersError(f"{FORM}, got {_short(entry)}")
    if not all(isinstance(key, str) for key in entry) or not _is_plain(dict(entry)):
        raise StructuredLayersError(
            "structure holds plain values only (text, numbers, true, false, null, lists, dicts), "
            f"got {_short(dict(entry))}"
        )
    if not isinstance(entry.get("layer"), str) or entry["layer"] not in STRUCTURES:
        found = f"got {entry['layer']!r}" if "layer" in entry else "got none"
        raise StructuredLayersError(
            f"a structure needs a layer, one of {', '.join(STRUCTURES)}; {found}"
        )
    keywords = {k: v for k, v in entry.items() if k not in ("layer", "target")}
    single_structure(entry["layer"], keywords)
    _check_edges(entry["layer"], keywords)
    return StructureRequest(entry["layer"], _parse_target(entry.get("target", DEPLOYED)), keywords)


def _parse_target(target: Any) -> str | tuple[str, ...]:
    if isinstance(target, str) and target:
        return target
    names = tuple(target) if isinstance(target, (list, tuple)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise StructuredLayersError(
            f"target must be one of {', '.join(PRESETS)}, a regular expression or a list of full "
            f"dotted names, got {target!r}"
        )
    return names


def _check_edges(layer: str, keywords: Mapping[str, Any]) -> None:
    if layer != "masked":
        return
    num_edges, learns = keywords.get("num_edges"), keywords.get("learn_mask")
    if keywords.get("mask") is not None:
        raise StructuredLayersError(
            "a mask is no plain value; give num_edges, and learn_mask: true to learn the mask"
        )
    if learns and num_edges is None:
        raise StructuredLayersError(
            "learn_mask: true needs num_edges, the number of edges that each network keeps"
        )
    if isinstance(num_edges, Mapping) and not learns:
        raise StructuredLayersError(
            "num_edges for each layer goes with learn_mask: true; give one number for a fixed mask"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
