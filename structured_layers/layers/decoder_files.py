"""Decoders of weights as folders, and as plain data that hold their numbers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import (
    json_digest,
    num_bytes,
    read_json,
    read_tensors,
    write_sealed_json,
    write_tensors,
)

from .weight_decoder import WeightDecoder

Decoder = nn.Module | str | Path | Mapping[str, Any]
"""A decoder of weights: the module, its folder, or its description."""

FORMAT, VERSION = "structured-layers weight decoder", 1
DESCRIPTION, TENSORS = "decoder.json", "decoder.safetensors"
EMBEDDED = "tensors"


def save_decoder(decoder: WeightDecoder, folder: str | Path) -> None:
    """Write a decoder to a folder, as ``decoder.json`` and ``decoder.safetensors``.

    Raises:
        StructuredLayersError: for a module of another class, or tensors that are not finite.
    """
    if type(decoder) is not WeightDecoder:
        raise StructuredLayersError(
            f"save_decoder writes a WeightDecoder, got a {type(decoder).__name__}; keep the "
            "state_dict of a module of your own yourself"
        )
    tensors = _finite(decoder.state_dict())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "version": VERSION,
        "decoder": decoder.to_json(),
        "bytes": num_bytes(tensors),
    }
    write_tensors(folder / TENSORS, tensors, belongs_to=json_digest(description))
    write_sealed_json(folder / DESCRIPTION, description)


def load_decoder(folder: str | Path) -> WeightDecoder:
    """Return the decoder that :func:`save_decoder` wrote.

    Raises:
        CheckpointError: missing, cut off, changed or not ours.
    """
    folder = Path(folder)
    inside = sorted(path.parent for path in folder.glob(f"decoders/*/{DESCRIPTION}"))
    if inside and not (folder / DESCRIPTION).exists():
        found = ", ".join(map(str, inside))
        raise CheckpointError(f"{folder} holds decoders of several layers; name one of {found}")
    data = read_json(
        folder / DESCRIPTION, format_name=FORMAT, version=VERSION, sealed_since=VERSION
    )
    try:
        form, size = data["decoder"], data["bytes"]
    except KeyError as error:
        raise CheckpointError(f"{folder} is not a whole decoder: {error} is missing") from error
    tensors = read_tensors(folder / TENSORS, size=size, belongs_to=json_digest(data))
    return _filled(form, tensors, str(folder))


def describe_decoder(decoder: WeightDecoder) -> dict[str, Any]:
    """Return a decoder as plain values, its numbers among them as text."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in decoder.state_dict().items()}
    return {**decoder.to_json(), EMBEDDED: base64.b64encode(save(tensors)).decode("ascii")}


def decoder_from(decoder: Decoder) -> nn.Module:
    """Return the decoder that a module, a folder or a description stands for.

    Args:
        decoder: a module, which is returned as it is; the path of a folder; or a description, of
            :meth:`WeightDecoder.to_json` for fresh numbers, or of :func:`describe_decoder`.

    Raises:
        StructuredLayersError: for anything else.
    """
    if isinstance(decoder, nn.Module):
        return decoder
    if isinstance(decoder, (str, Path)):
        return load_decoder(decoder)
    if isinstance(decoder, Mapping):
        form = {key: value for key, value in decoder.items() if key != EMBEDDED}
        if EMBEDDED not in decoder:
            return WeightDecoder.from_json(form)
        return _filled(form, _embedded(decoder[EMBEDDED]), "the description of a decoder")
    raise StructuredLayersError(
        "decoder must be a module such as WeightDecoder, the path of a folder that save_decoder "
        f"wrote, or a decoder's description; got {decoder!r}"
    )


def _filled(form: Any, tensors: Mapping[str, Tensor], source: str) -> WeightDecoder:
    with torch.device("meta"):  # no random numbers, and no memory for one of the wrong size
        decoder = WeightDecoder.from_json(form)
    own = decoder.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if shapes != expected:
        raise CheckpointError(f"{source} has tensors {shapes}, its decoder has {expected}")
    decoder.load_state_dict(_finite(tensors), assign=True)
    return decoder


def _embedded(text: Any) -> dict[str, Tensor]:
    try:
        return load(base64.b64decode(text, validate=True))
    except (TypeError, ValueError, binascii.Error, SafetensorError) as error:
        raise StructuredLayersError(
            f"the tensors of a decoder's description are damaged: {error}"
        ) from error


def _finite(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise StructuredLayersError(
                f"a decoder needs finite tensors, but its {name} is NaN or infinite in places"
            )
    return dict(tensors)
