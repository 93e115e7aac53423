"""Permutations and signs of hidden units, so that equal networks have equal weights.

The hidden units of a network can be put in any order, and units with an odd activation can change
their sign, without a change of what the network computes. Weights that are to be compared, averaged
or encoded are brought into the order and signs in which they are nearest to those of a reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from .assignment import assign

Parameters = Mapping[str, Tensor]
ODD = (nn.Tanh, nn.Identity, nn.Hardtanh)
ELEMENTWISE = (*ODD, nn.ReLU, nn.Sigmoid, nn.SiLU)
MAX_SWEEPS = 20


class HiddenLayer(NamedTuple):
    """Names of the layers before and behind some hidden units, and whether these may flip."""

    before: str
    behind: str
    is_odd: bool


def hidden_layers(network: nn.Sequential) -> list[HiddenLayer]:
    """Return the hidden layers of a chain of linear layers and elementwise activations.

    Raises:
        StructuredLayersError: naming a module that is neither.
    """
    found: list[HiddenLayer] = []
    before, is_odd = "", True
    for name, module in network.named_children():
        if isinstance(module, nn.Linear):
            if before:
                found.append(HiddenLayer(before, name, is_odd))
            before, is_odd = name, True
        elif isinstance(module, ELEMENTWISE):
            is_odd = is_odd and _is_odd(module)
        else:
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            raise StructuredLayersError(
                f"alignment needs nn.Linear and elementwise activations, {name} is a {kind}"
            )
    return found


def _is_odd(module: nn.Module) -> bool:
    if isinstance(module, nn.Hardtanh):
        return bool(module.min_val == -module.max_val)
    return isinstance(module, ODD)


def align(
    network: nn.Sequential, parameters: Parameters, reference: Parameters
) -> dict[str, Tensor]:
    """Return the parameters with the hidden units in the order and signs nearest to a reference.

    Each hidden layer is an assignment problem given the others, solved exactly; layer after layer
    until none changes: "weight matching" of Ainsworth et al., "Git Re-Basin", 2023. With one
    hidden layer the result is the nearest there is.

    Args:
        network: what the parameters are of; its own values are not used.
        parameters: by name.
        reference: by name, of the same shapes.

    Returns:
        New tensors by name. The network computes the same with them.
    """
    aligned = dict(parameters)
    layers = hidden_layers(network)
    for _ in range(MAX_SWEEPS):
        if not any([_align_layer(layer, aligned, reference) for layer in layers]):
            break
    return aligned


def _align_layer(layer: HiddenLayer, aligned: dict[str, Tensor], reference: Parameters) -> bool:
    """Reorder one hidden layer in place, and return whether anything moved."""
    product = _units(layer, reference).double() @ _units(layer, aligned).double().T
    similarity = product.abs() if layer.is_odd else product
    order = torch.from_numpy(assign(-similarity.numpy()))
    chosen = product.gather(1, order[:, None])[:, 0]
    signs = torch.where((chosen < 0) & layer.is_odd, -1.0, 1.0).to(
        aligned[f"{layer.before}.weight"]
    )
    if torch.equal(order, torch.arange(len(order))) and bool((signs > 0).all()):
        return False
    for name in (f"{layer.before}.weight", f"{layer.before}.bias"):
        if name in aligned:
            value = aligned[name][order]
            aligned[name] = value * signs.view(-1, *[1] * (value.ndim - 1))
    behind = f"{layer.behind}.weight"
    aligned[behind] = aligned[behind][:, order] * signs
    return True


def _units(layer: HiddenLayer, parameters: Parameters) -> Tensor:
    """Return what enters and leaves each hidden unit, (units, in + bias + out)."""
    parts = [parameters[f"{layer.before}.weight"]]
    if f"{layer.before}.bias" in parameters:
        parts.append(parameters[f"{layer.before}.bias"][:, None])
    return torch.cat([*parts, parameters[f"{layer.behind}.weight"].T], dim=1)


def align_all(
    network: nn.Sequential, parameters: Parameters, reference: Parameters
) -> dict[str, Tensor]:
    """Align N networks with a reference.

    Args:
        network: what the parameters are of.
        parameters: (N, ...) each.
        reference: by name, without the leading dimension.
    """
    count = len(next(iter(parameters.values())))
    rows = [
        align(network, {name: value[i] for name, value in parameters.items()}, reference)
        for i in range(count)
    ]
    return {name: torch.stack([row[name] for row in rows]) for name in parameters}


def find_reference(
    network: nn.Sequential, parameters: Parameters, *, first: int = 0, rounds: int = 10
) -> dict[str, Tensor]:
    """Return the mean of aligned networks, to which they have been aligned.

    Args:
        network: what the parameters are of.
        parameters: (N, ...) each.
        first: number of the network that is the reference of the first round; the mean of the
            aligned networks is that of the next.
        rounds: at most; fewer if nothing moves.
    """
    reference = {name: value[first] for name, value in parameters.items()}
    aligned = dict(parameters)
    for _ in range(rounds):
        before, aligned = aligned, align_all(network, aligned, reference)
        reference = {name: value.mean(dim=0) for name, value in aligned.items()}
        if all(torch.equal(before[name], aligned[name]) for name in aligned):
            break
    return reference
