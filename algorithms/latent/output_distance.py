"""How far the outputs of decoded networks are from those of the networks themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_integer, check_positive
from .network_outputs import network_outputs
from .weight_autoencoder import WeightAutoencoder

Parameters = Mapping[str, Tensor]
BEYOND = 0.1
"""Weight of what outputs exceed their limit by, so that there is a gradient outside too."""
BIAS_RATE = 0.25
"""Step size of biases, as a multiple of that of codes, whose spread is 1."""


def output_distance(
    network: nn.Module,
    decoded: Parameters,
    parameters: Parameters,
    states: Tensor,
    limit: float | None = None,
) -> Tensor:
    """Return the mean over states of the squared L2 distance of the outputs, (N,).

    Args:
        network: what the parameters are of.
        decoded: (N, ...) each.
        parameters: (N, ...) each.
        states: (S, in) or (N, S, in).
        limit: of the actions; what outputs exceed it by counts BEYOND of its distance. None counts
            the outputs as they are.
    """
    target = _limited(network_outputs(network, parameters, states), limit)
    found = _limited(network_outputs(network, decoded, states), limit)
    return (found - target).square().sum(dim=-1).mean(dim=-1)


def _limited(outputs: Tensor, limit: float | None) -> Tensor:
    if limit is None:
        return outputs
    inside = outputs.clamp(-limit, limit)
    return inside + BEYOND * (outputs - inside)


def encode_layers(
    autoencoders: Mapping[str, WeightAutoencoder], parameters: Parameters
) -> dict[str, Tensor]:
    """Return the codes (N, k) of each encoded layer."""
    return {n: coder.encode(parameters[f"{n}.weight"]) for n, coder in autoencoders.items()}


def decode_layers(
    autoencoders: Mapping[str, WeightAutoencoder],
    codes: Mapping[str, Tensor],
    parameters: Parameters,
) -> dict[str, Tensor]:
    """Return the parameters with the weights of the encoded layers decoded from codes."""
    decoded = {f"{n}.weight": coder.decode(codes[n]) for n, coder in autoencoders.items()}
    return {**parameters, **decoded}


def check_refinement(
    network: nn.Module, steps: int, states: Tensor | None, limit: float | None
) -> None:
    """Raise StructuredLayersError unless codes can be refined so many steps on these states."""
    check_integer("refine_steps", steps, 0)
    if limit is not None:
        check_positive("output_limit", limit)
    if not steps:
        return
    if states is None:
        raise StructuredLayersError("refine_steps needs states=, on which to compare outputs")
    size = next(m.in_features for m in network.modules() if isinstance(m, nn.Linear))
    if states.ndim != 2 or states.shape[1] != size or not len(states):
        raise StructuredLayersError(
            f"states must have shape (S, {size}), one row of normalised observations for each "
            f"state, got {tuple(states.shape)}"
        )
    if not bool(states.isfinite().all()):
        raise StructuredLayersError(
            f"states must be finite, got {int((~states.isfinite()).sum())} of {states.numel()} "
            f"entries that are not"
        )


@torch.enable_grad()
def refine_codes(
    autoencoders: Mapping[str, WeightAutoencoder],
    network: nn.Module,
    parameters: Parameters,
    states: Tensor,
    *,
    steps: int,
    learning_rate: float = 0.2,
    limit: float | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return codes and biases whose outputs are nearer than those of the encoders.

    Adam on the codes and biases of all layers at once, for each network on its own, with a step
    size that falls to zero; the best of the way are kept.

    Args:
        autoencoders: by name of the layer; they stay as they are.
        network: what the parameters are of.
        parameters: (N, ...) each.
        states: (S, in) on which the outputs are compared.
        steps: number of steps.
        learning_rate: the first step size, in units of the codes' spread.
        limit: of the actions, as in :func:`output_distance`.

    Returns:
        Codes (N, k) by layer, and the parameters with the new biases.
    """
    with torch.no_grad():
        codes = encode_layers(autoencoders, parameters)
    biases = {
        f"{n}.bias": parameters[f"{n}.bias"].clone() for n in codes if f"{n}.bias" in parameters
    }
    trained = [tensor.requires_grad_(True) for tensor in (*codes.values(), *biases.values())]
    best = [tensor.detach().clone() for tensor in trained]
    smallest = torch.full((len(trained[0]),), torch.inf)
    rates = [learning_rate] * len(codes) + [BIAS_RATE * learning_rate] * len(biases)
    groups = [{"params": [t], "lr": rate} for t, rate in zip(trained, rates, strict=True)]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for step in range(steps + 1):
        decoded = decode_layers(autoencoders, codes, {**parameters, **biases})
        distance = output_distance(network, decoded, parameters, states, limit)
        is_better = distance.detach() < smallest
        smallest = torch.where(is_better, distance.detach(), smallest)
        for kept, tensor in zip(best, trained, strict=True):
            kept[is_better] = tensor.detach()[is_better]
        if step < steps:
            gradients = torch.autograd.grad(distance.sum(), trained)
            for tensor, gradient in zip(trained, gradients, strict=True):
                tensor.grad = gradient
            optimizer.step()
            schedule.step()
    found = dict(zip(biases, best[len(codes) :], strict=True))
    return dict(zip(codes, best, strict=False)), {**parameters, **found}
