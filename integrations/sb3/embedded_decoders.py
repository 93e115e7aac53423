"""Decoders of latent layers inside a structure, so that a model's zip needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ...layers.decoder_files import describe_decoder, load_decoder
from ...layers.weight_decoder import WeightDecoder
from .structure import plain_structure


def with_embedded_decoders(structure: Any) -> Any:
    """Return a copy of a structure in which decoders stand in the place of their folders.

    A decoder that is a folder or a :class:`~structured_layers.WeightDecoder` becomes its
    description with all of its numbers, which is plain text and numbers. All else stays as it is,
    right or wrong.

    Args:
        structure: see :func:`~structured_layers.integrations.sb3.structure.parse_structure`.

    Raises:
        CheckpointError: for a folder without a decoder, or with a damaged one.
    """
    copied = plain_structure(structure)
    for entry in _entries(copied):
        if isinstance(entry, dict) and entry.get("layer") == "latent" and "decoder" in entry:
            entry["decoder"] = _embedded(entry["decoder"])
    return copied


def embed_decoders_(structure: Any, embedded: Any) -> None:
    """Write the decoders of an embedded structure into the one that it was made of, in place.

    Stable-Baselines3 saves the ``policy_kwargs`` that a model was given, and nothing else of a
    structure: what is in them is all that a zip can be built from.
    """
    for given, whole in zip(_entries(structure), _entries(embedded), strict=True):
        if isinstance(given, MutableMapping) and "decoder" in given:
            given["decoder"] = plain_structure(whole["decoder"])


def _entries(structure: Any) -> list[Any]:
    if isinstance(structure, (list, tuple)):
        return list(structure)
    return [structure] if isinstance(structure, Mapping) else []


def _embedded(decoder: Any) -> Any:
    if isinstance(decoder, (str, Path)):
        return describe_decoder(load_decoder(decoder))
    return describe_decoder(decoder) if isinstance(decoder, WeightDecoder) else decoder
