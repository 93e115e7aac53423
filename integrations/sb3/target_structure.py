"""Target networks that have the structure of their online networks.

Polyak averaging moves parameters. Colours and masks that are learned follow from parameters (the
shadow with palette and scale, the values), so those of a target network follow from its averaged
ones and need nothing more. Colours and masks in buffers, and numbers such as ``num_edges``, stay
behind unless they are written to both networks.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from ...errors import StructuredLayersError
from ...layers import StructuredLinear
from .targets import target_networks

# What decides on the weight and is neither a parameter nor a buffer.
SETTINGS = ("num_edges", "color_seed")


def sync_target_structure_(policy: nn.Module) -> None:
    """Give every target network of a policy the structure of its online network, in place."""
    for online, target in target_networks(policy):
        copy_structure_(online, target)


@torch.no_grad()
def copy_structure_(online: nn.Module, target: nn.Module) -> None:
    """Write the structure of a network to its target network; averaged parameters stay.

    Where the target network has a layer of another kind, it gets a copy of the online one.

    Args:
        online: the network that is trained; it is only read.
        target: the network that follows it, changed in place.

    Raises:
        StructuredLayersError: if the two are not built alike.
    """
    pairs = [(n, m) for n, m in online.named_modules() if isinstance(m, StructuredLinear)]
    modules = dict(target.named_modules())
    missing = [name for name, _ in pairs if name not in modules]
    if missing:
        raise StructuredLayersError(
            f"the target network has no {', '.join(missing)}; it must be built as the online one"
        )
    unlike = [name for name, layer in pairs if not _is_alike(layer, modules[name])]
    if unlike:
        # All layers in one copy, since they may share a palette.
        _replace(target, dict(pairs), modules)
        return
    for name, layer in pairs:
        _write(layer, modules[name])


def _write(layer: StructuredLinear, other: nn.Module) -> None:
    for name in layer.topology_names:
        other.get_buffer(name).copy_(layer.get_buffer(name))
    for name in SETTINGS:
        if name in vars(layer) and vars(layer)[name] != vars(other).get(name):
            setattr(other, name, vars(layer)[name])


def _replace(
    target: nn.Module, layers: dict[str, StructuredLinear], modules: dict[str, nn.Module]
) -> None:
    copies = copy.deepcopy(layers)
    for name, layer in copies.items():
        averaged = dict(modules[name].named_parameters())
        for key, parameter in layer.named_parameters():
            if key in averaged and averaged[key].shape == parameter.shape:
                parameter.copy_(averaged[key])
        parent, _, child = name.rpartition(".")
        setattr(target.get_submodule(parent), child, layer.train(modules[name].training))


def _is_alike(layer: StructuredLinear, other: nn.Module) -> bool:
    shapes = {name: value.shape for name, value in layer.state_dict().items()}
    others = {name: value.shape for name, value in other.state_dict().items()}
    return type(layer) is type(other) and shapes == others
