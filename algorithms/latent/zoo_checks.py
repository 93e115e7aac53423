"""What a zoo of policies must be: networks of one shape, finite weights, states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from structured_layers.errors import StructuredLayersError
from structured_layers.layers import StructuredLinear
from structured_layers.sequential_spec import SequentialSpec

if TYPE_CHECKING:
    from .policy_zoo import PolicyZoo


def check_networks(networks: Sequence[nn.Sequential]) -> tuple[SequentialSpec, dict[str, Tensor]]:
    """Return the one description of some networks, and their parameters stacked by name."""
    if not networks:
        raise StructuredLayersError(
            "a zoo needs trained policies, got none; train some, for instance with ES"
        )
    for index, network in enumerate(networks):
        if not isinstance(network, nn.Sequential):
            raise StructuredLayersError(
                f"a zoo holds nn.Sequential networks, network {index} is a "
                f"{type(network).__module__}.{type(network).__qualname__}"
            )
    for name, module in networks[0].named_children():
        if isinstance(module, StructuredLinear):
            raise StructuredLayersError(
                f"a zoo holds dense networks, layer {name} is a {type(module).__name__}; pass "
                "to_dense(network)"
            )
    spec = SequentialSpec.of(networks[0])
    for index, network in enumerate(networks):
        found = SequentialSpec.of(network)
        if found != spec:
            raise StructuredLayersError(
                f"all policies of a zoo must have one shape; the first is {networks[0]}, policy "
                f"{index} is {network}"
            )
    parameters = [dict(network.named_parameters()) for network in networks]
    names = list(parameters[0])
    return spec, {n: torch.stack([p[n].detach().float().cpu() for p in parameters]) for n in names}


def check_zoo(zoo: PolicyZoo) -> None:
    """Refuse a zoo whose parts do not fit each other."""
    count = len(zoo.returns)
    if not count or not zoo.weights:
        raise StructuredLayersError("a zoo needs at least one policy with weights, got none")
    _check_weights(zoo, count)
    for name in ("returns", "runs", "env_steps"):
        if getattr(zoo, name).shape != (count,):
            raise StructuredLayersError(
                f"{name} must have shape ({count},), one entry per policy, got "
                f"{tuple(getattr(zoo, name).shape)}"
            )
    _check_states(zoo)


def _check_weights(zoo: PolicyZoo, count: int) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in zoo.spec.build().named_parameters()}
    found = {name: tuple(value.shape[1:]) for name, value in zoo.weights.items()}
    if found != shapes:
        raise StructuredLayersError(f"the network's parameters are {shapes}, got {found}")
    for name, value in zoo.weights.items():
        if len(value) != count:
            raise StructuredLayersError(f"{name} is of {len(value)} policies, returns of {count}")
        bad = ~value.flatten(1).isfinite().all(dim=1)
        if bad.any():
            raise StructuredLayersError(
                f"weights must be finite, but {name} of policy {int(bad.nonzero()[0])} is NaN or "
                f"infinite in places; leave that policy out"
            )


def _check_states(zoo: PolicyZoo) -> None:
    size = zoo.states.shape[-1] if zoo.states.ndim == 2 else 0
    if not zoo.states.numel() or not bool(zoo.states.isfinite().all()):
        raise StructuredLayersError(
            f"a zoo needs finite states of shape (S, obs) that its policies visit, got shape "
            f"{tuple(zoo.states.shape)}; record some while the policies act"
        )
    owners = zoo.state_policies
    if owners.shape != zoo.states.shape[:1] or owners.dtype != torch.int64:
        raise StructuredLayersError(
            f"state_policies must be one integer for each of {len(zoo.states)} states, got "
            f"{tuple(owners.shape)} {owners.dtype}"
        )
    if not bool(((owners >= -1) & (owners < len(zoo.returns))).all()):
        raise StructuredLayersError(
            f"state_policies must be numbers of the {len(zoo.returns)} policies, or -1; got "
            f"{int(owners.min())} to {int(owners.max())}"
        )
    first = next(iter(zoo.weights.values()))
    if first.shape[-1] != size:
        raise StructuredLayersError(
            f"the networks take {first.shape[-1]} observations, the states have {size}"
        )
    for name in ("observation_mean", "observation_std"):
        value = getattr(zoo, name)
        if value.shape != (size,) or not bool(value.isfinite().all()):
            raise StructuredLayersError(f"{name} must be ({size},) finite numbers, got {value}")
    if not bool((zoo.observation_std > 0).all()):
        raise StructuredLayersError(f"observation_std must be positive, got {zoo.observation_std}")
