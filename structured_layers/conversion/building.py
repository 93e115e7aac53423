"""The structured layers that take the place of dense ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import nn

from ..layers import ChromaticLinear, MaskedLinear, Palette, StructuredLinear
from .chromatic import build_chromatic
from .masked import build_masked
from .single import build_one
from .structures import Structure

Linears = Mapping[str, nn.Linear]
Built = dict[str, StructuredLinear]


def build_layers(structure: Structure, linears: Linears, project: bool) -> Built:
    """Build the layers of one structure for all of its targets together.

    Args:
        structure: the class and its keywords.
        linears: the dense layers by name; they are only read.
        project: whether the new weights are near the dense ones, or fresh ones of their spread.

    Returns:
        The new layers, in the mode of the dense ones and trained where these are.

    Raises:
        StructuredLayersError: naming the layer that cannot be built.
    """
    layer, keywords = structure.layer, structure.keywords
    if layer is None:
        return {}
    if layer is ChromaticLinear:
        built = build_chromatic(linears, project, **keywords)
    elif layer is MaskedLinear and keywords.get("num_edges") is not None:
        built = build_masked(linears, project, **keywords)
    else:
        built = {
            name: build_one(layer, name, linear, project, keywords)
            for name, linear in linears.items()
        }
    _keep_flags(built, linears, keywords.get("palette"))
    return built


@contextmanager
def kept_palettes(groups: Iterable[tuple[Structure, Linears]]) -> Iterator[None]:
    """Keep the palettes that were passed in, and undo what layers did to them on an error."""
    given = {id(p): p for structure, _ in groups for p in structure.keywords.values()}
    with ExitStack() as stack:
        for palette in given.values():
            if isinstance(palette, Palette):
                stack.enter_context(palette.kept())
        yield


def _keep_flags(built: Built, linears: Linears, palette: object) -> None:
    """Give the layers the mode of the dense ones, and the parameters their requires_grad."""
    given = palette.values if isinstance(palette, Palette) else None
    for name, layer in built.items():
        linear = linears[name]
        layer.train(linear.training)
        for key, parameter in layer.named_parameters(recurse=False):
            dense = linear.bias if key == "bias" else linear.weight
            if parameter is not given:
                parameter.requires_grad_(dense.requires_grad)
    # What layers share is trained if one of them is.
    for name, layer in built.items():
        if layer.values is not given and linears[name].weight.requires_grad:
            layer.values.requires_grad_(True)
