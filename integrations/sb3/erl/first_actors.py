"""The actors that a population begins with."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers.algorithms.erl import layout_of


def first_actors(
    network: nn.Module, autoencoder: Any, size: int, generator: torch.Generator
) -> Tensor:
    """Return the first actors (size, d).

    Weights are drawn as the layers of the network draw them. Of codes of an autoencoder, the first
    actor has those of the mean of the networks that it was trained on, the others draw theirs from
    N(0, 1), the spread of these networks; all have their mean biases.

    Args:
        network: in whose form they are.
        autoencoder: that encoded it, None if it was not encoded.
        size: how many.
        generator: of the draws.
    """
    if autoencoder is not None:
        return _drawn_codes(autoencoder.mean_network(), size, generator)
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # layers draw from the global generator
        return torch.stack([_drawn_anew(network) for _ in range(size)])


def _drawn_codes(network: nn.Module, size: int, generator: torch.Generator) -> Tensor:
    vector: Tensor = parameters_to_vector(network.parameters()).detach()
    rows = vector.repeat(size, 1)
    for block in layout_of(network):
        if block.is_code:
            shape = (size - 1, block.stop - block.start)
            rows[1:, block.start : block.stop] = torch.randn(shape, generator=generator)
    return rows


def _drawn_anew(network: nn.Module) -> Tensor:
    made = copy.deepcopy(network)
    for module in made.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    vector: Tensor = parameters_to_vector(made.parameters()).detach().clone()
    return vector
