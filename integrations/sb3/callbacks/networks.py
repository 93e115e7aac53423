"""The online networks of a policy, as far as callbacks change them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..targets import critic_layers, deployed_layers

Layers = dict[str, nn.Module]


def online_networks(policy: nn.Module) -> dict[str, Layers]:
    """Return the linear layers of each online network, each layer once.

    Args:
        policy: the policy of any algorithm.

    Returns:
        ``actor``, ``critic`` or, for critics of several networks, ``critic.qf0``, …, each with its
        layers by full dotted name. The Q-network of DQN and QRDQN is the actor.
    """
    actor = deployed_layers(policy)
    networks: dict[str, Layers] = defaultdict(dict)
    networks["actor"] = dict(actor)
    for name, layer in critic_layers(policy).items():
        if name not in actor:
            part = ".".join(name.split(".")[:2])
            networks[part if part.startswith("critic.") else "critic"][name] = layer
    return {name: layers for name, layers in networks.items() if layers}


def optimizers_of(policy: nn.Module) -> list[Optimizer]:
    """Return the optimizers that a policy and its networks own."""
    owned = (vars(module).get("optimizer") for module in policy.modules())
    return [optimizer for optimizer in owned if isinstance(optimizer, Optimizer)]


def clear_entries(policy: nn.Module, parameter: nn.Parameter, dead: torch.Tensor) -> None:
    """Set averages, momentum and the like of some entries of a parameter to zero in all optimizers.

    Args:
        policy: the policy whose optimizers are searched.
        parameter: what is trained.
        dead: bool, of the parameter's shape.
    """
    for optimizer in optimizers_of(policy):
        for value in optimizer.state.get(parameter, {}).values():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                value.masked_fill_(dead.to(value.device), 0)


def forget(policy: nn.Module, parameters: list[nn.Parameter]) -> None:
    """Drop all that the optimizers keep of parameters, as if these were new."""
    for optimizer in optimizers_of(policy):
        for parameter in parameters:
            optimizer.state.pop(parameter, None)


@contextmanager
def kept_by_ars(model: Any) -> Iterator[None]:
    """Let the vector of weights that ARS keeps move as the parameters do; other models have none.

    Args:
        model: of any algorithm; its parameters may be changed inside of the context.
    """
    if not isinstance(getattr(model, "weights", None), torch.Tensor):
        yield
        return
    # Parameters that were loaded from the vector are views of it, others are apart from it.
    weights = model.weights.clone()
    before = nn.utils.parameters_to_vector(model.policy.parameters()).detach()
    yield
    moved = nn.utils.parameters_to_vector(model.policy.parameters()).detach() - before
    model.weights = weights + moved.to(weights.device)
