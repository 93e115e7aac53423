"""What there is to count in a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import StructuredLayersError
from ..layers import ChromaticLinear, MaskedLinear, SoftMaskedLinear, StructuredLinear
from .codes import Code

Layer = nn.Linear | StructuredLinear


@dataclass(frozen=True)
class Inventory:
    """The parts of a network, each of them once however often it is shared.

    Attributes:
        layers: the linear layers in module order.
        other_parameters: trained tensors outside of these, by id, with their names.
        other_codes: discrete structure outside of these, such as the activations of units.
    """

    layers: list[Layer]
    other_parameters: dict[int, tuple[str, nn.Parameter]]
    other_codes: list[Code]

    @property
    def weights(self) -> int:
        """Distinct trained weights, scales among them; of masked layers the survivors."""
        counts: dict[int, int] = {}
        for layer in self.layers:
            if isinstance(layer, ChromaticLinear):
                shared = (p for p in (layer.values, layer.scale) if p is not None)
                counts |= {id(parameter): parameter.numel() for parameter in shared}
            elif isinstance(layer, StructuredLinear):
                counts[id(layer.values)] = layer.num_weights
            else:
                counts[_weight_id(layer)] = layer.weight.numel()
        return sum(counts.values()) + self._others(of_biases=False)

    @property
    def dense_weights(self) -> int:
        """The weights of the network without structure: the entries of all its matrices."""
        # A dense matrix that layers share is one matrix; chromatic layers share no matrix.
        edges = {_weight_id(layer): layer.in_features * layer.out_features for layer in self.layers}
        return sum(edges.values()) + self._others(of_biases=False)

    @property
    def biases(self) -> int:
        """All biases."""
        biases = {id(layer.bias): _num_biases(layer) for layer in self.layers}
        return sum(biases.values()) + self._others(of_biases=True)

    @property
    def output_biases(self) -> int:
        """The biases of the last layer."""
        return sum(map(_num_biases, self.layers[-1:]))

    def _others(self, of_biases: bool) -> int:
        named = self.other_parameters.values()
        return sum(p.numel() for name, p in named if name.endswith("bias") is of_biases)

    @property
    def palettes(self) -> list[list[ChromaticLinear]]:
        """The chromatic layers, in groups that share a palette."""
        groups: dict[int, list[ChromaticLinear]] = defaultdict(list)
        for layer in self.layers:
            if isinstance(layer, ChromaticLinear):
                groups[id(layer.values)].append(layer)
        return list(groups.values())

    @property
    def mask_codes(self) -> list[Code]:
        """One code for each layer of structure that is no colouring."""
        plain = (layer for layer in self.layers if not isinstance(layer, ChromaticLinear))
        return [code for layer in plain for code in layer_codes(layer)]


def take_inventory(module: nn.Module) -> Inventory:
    """List the layers, other parameters and discrete structure of a module.

    Raises:
        StructuredLayersError: if structure lies on the meta device, where it has no values.
    """
    inventory = Inventory([], {}, [])
    for name, part in _parts(module, ""):
        if isinstance(part, Layer):
            inventory.layers.append(part)
            _check_structure(name, part)
            continue
        parameters = part.named_parameters(recurse=False)
        inventory.other_parameters.update({id(p): (key, p) for key, p in parameters})
        inventory.other_codes.extend(_buffer_codes(part))
    layers_own = {id(p) for layer in inventory.layers for p in layer.parameters()}
    for shared in layers_own & inventory.other_parameters.keys():
        del inventory.other_parameters[shared]
    return inventory


def layer_codes(layer: nn.Module) -> list[Code]:
    """Return the code of a layer's colours, mask or other discrete structure."""
    if isinstance(layer, ChromaticLinear):
        return [Code(_flat(layer.colors), layer.values.numel())]
    if isinstance(layer, (MaskedLinear, SoftMaskedLinear)):
        return [Code(_flat(layer.mask) - 1, 1)]
    return _buffer_codes(layer)


def _buffer_codes(module: nn.Module) -> list[Code]:
    codes = []
    for name in getattr(module, "topology_names", ()):
        allowed = module.topology_range(name)  # type: ignore[operator]
        codes.append(Code(_flat(module.get_buffer(name)) - allowed[0], len(allowed)))
    return codes


def _flat(symbols: Tensor) -> Tensor:
    return symbols.detach().flatten().to("cpu", torch.int64)


def _parts(
    module: nn.Module, name: str, seen: set[int] | None = None
) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module and what lies in it with dotted names, but nothing inside a linear layer."""
    seen = set() if seen is None else seen
    if id(module) in seen:
        return
    seen.add(id(module))
    yield name, module
    if not isinstance(module, Layer):
        for child_name, child in module.named_children():
            yield from _parts(child, f"{name}.{child_name}" if name else child_name, seen)


def _weight_id(layer: Layer) -> int:
    """Return what a dense weight is known by; a structured layer's matrix is its own."""
    weight = dict(layer.named_parameters(recurse=False)).get("weight")
    return id(layer if weight is None else weight)


def _num_biases(layer: Layer) -> int:
    bias: Tensor | None = layer.bias
    return 0 if bias is None else bias.numel()


def _check_structure(name: str, layer: Layer) -> None:
    has_structure = isinstance(layer, (ChromaticLinear, MaskedLinear, SoftMaskedLinear))
    if has_structure and any(part.is_meta for part in (*layer.parameters(), *layer.buffers())):
        raise StructuredLayersError(
            f"{name or 'the layer'} lies on the meta device, so its structure cannot be counted; "
            "materialise it with to_empty and load its state first"
        )
