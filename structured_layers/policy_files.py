"""The two files of a policy: ``policy.json`` describes, ``weights.safetensors`` holds all numbers.

Only ``weights.safetensors`` changes while a search runs, so that each save is one rename.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .actions import Actions, BoxActions, DiscreteActions
from .errors import CheckpointError, StructuredLayersError
from .files import read_json, read_tensors, write_json, write_tensors
from .layers import MaskedLinear, tie_palettes_
from .policy import Policy
from .sequential_spec import SequentialSpec
from .specs import NetworkSpec
from .topology import topology_to_vector, vector_to_topology

FORMAT, VERSION = "structured-layers policy", 2  # 1 had no steps and no rescaled actions
WEIGHTS = "weights.safetensors"
PREFIX = "network."


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a policy's two files."""
    if policy.spec is None:
        raise StructuredLayersError(
            "a policy is saved with its NetworkSpec, and this one has none; keep the state_dict of "
            "a module of your own yourself"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, _tensors(policy))
    description = {
        "format": FORMAT,
        "version": VERSION,
        "network": policy.spec.to_json(),
        "observation_shape": list(policy.observation_shape),
        "observation_normalization": policy.observation_mean is not None,
        "actions": _describe(policy.actions),
        "env": policy.env,
    }
    write_json(folder / "policy.json", description)


def _tensors(policy: Policy) -> dict[str, Tensor]:
    tensors = {PREFIX + name: values for name, values in _network_tensors(policy.network).items()}
    if policy.observation_mean is not None and policy.observation_std is not None:
        tensors["observation_mean"] = torch.tensor(policy.observation_mean)
        tensors["observation_std"] = torch.tensor(policy.observation_std)
    if isinstance(policy.actions, BoxActions):
        tensors["action_low"] = torch.tensor(policy.actions.low)
        tensors["action_high"] = torch.tensor(policy.actions.high)
    return tensors


def _network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters, shared ones once, and structure; of a masked layer what survives."""
    tensors = {name: p.detach() for name, p in network.named_parameters()}
    tensors |= dict(network.named_buffers())
    for path, layer in network.named_modules():
        if isinstance(layer, MaskedLinear) and layer.num_edges is None:
            name = f"{path}.values" if path else "values"
            tensors[name] = layer.values.detach()[layer.mask]
    return tensors


def _describe(actions: Actions) -> dict[str, Any]:
    if isinstance(actions, DiscreteActions):
        return {"type": "discrete", "n": actions.n, "start": actions.start}
    return {"type": "box", "size": actions.num_outputs, "rescale": actions.rescale}


def read_policy(folder: Path, network: nn.Module | None) -> Policy:
    """Read a policy from its folder or from the folder of its run."""
    if not (folder / "policy.json").exists() and (folder / "policy").is_dir():
        folder = folder / "policy"
    data = read_json(folder / "policy.json", format_name=FORMAT, version=VERSION)
    tensors = read_tensors(folder / WEIGHTS)
    try:
        spec = None  # a network of the caller's own may be another one than the files describe
        if network is None:
            kind = SequentialSpec if "steps" in data["network"] else NetworkSpec
            spec = kind.from_json(data["network"])
            network = spec.build()
        _load_network(network, tensors)
        normalized = data["observation_normalization"]
        return Policy(
            network,
            _actions(data["actions"], tensors),
            observation_mean=tensors["observation_mean"].numpy() if normalized else None,
            observation_std=tensors["observation_std"].numpy() if normalized else None,
            observation_shape=tuple(data["observation_shape"]),
            spec=spec,
            env=data["env"],
        )
    except KeyError as error:
        raise CheckpointError(f"{folder} is not a whole policy: {error} is missing") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder} does not hold a whole policy: {error}") from error


def _actions(description: dict[str, Any], tensors: dict[str, Tensor]) -> Actions:
    if description["type"] == "discrete":
        return DiscreteActions(int(description["n"]), int(description["start"]))
    low, high = tensors["action_low"], tensors["action_high"]
    if description["type"] != "box" or low.ndim != 1 or low.shape != high.shape:
        raise CheckpointError(
            f"its actions are of type {description['type']!r} with bounds of shapes "
            f"{tuple(low.shape)} and {tuple(high.shape)}, which is neither a box nor discrete"
        )
    return BoxActions(low.numpy(), high.numpy(), bool(description.get("rescale", False)))


def _load_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    tie_palettes_(network)  # a palette is stored once
    state = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
    for path, layer in network.named_modules():
        if isinstance(layer, MaskedLinear) and layer.num_edges is None:
            prefix = f"{path}." if path else ""
            mask, survivors = state[f"{prefix}mask"], state[f"{prefix}values"]
            state[f"{prefix}values"] = torch.zeros(mask.shape).masked_scatter(mask, survivors)
    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    if state.keys() != own.keys():
        raise CheckpointError(f"its weights are {sorted(state)}, the network's are {sorted(own)}")
    for name, target in own.items():
        if target.shape != state[name].shape:
            raise CheckpointError(
                f"{name} has shape {tuple(state[name].shape)}, the network's is "
                f"{tuple(target.shape)}"
            )
    with torch.no_grad():
        for name, target in own.items():
            target.copy_(state[name])
    vector_to_topology(topology_to_vector(network), network)  # checks that the entries are in range
