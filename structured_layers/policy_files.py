"""The two files of a policy: ``policy.json`` describes, ``weights.safetensors`` holds all numbers.

Only ``weights.safetensors`` changes while a search runs, so that each save is one rename.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .actions import Actions, BoxActions, DiscreteActions, MultiDiscreteActions
from .errors import CheckpointError, StructuredLayersError
from .files import (
    DAMAGE,
    json_digest,
    num_bytes,
    read_json,
    read_tensors,
    write_sealed_json,
    write_tensors,
)
from .layers import MaskedLinear, tie_palettes_
from .policy import Policy, check_env_config
from .sequential_spec import SequentialSpec
from .specs import NetworkSpec
from .topology import topology_to_vector, vector_to_topology

FORMAT, VERSION = "structured-layers policy", 3  # 2 had no seal, no env_config
WEIGHTS = "weights.safetensors"
PREFIX = "network."


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a policy's two files."""
    if policy.spec is None:
        raise StructuredLayersError(
            "a policy is saved with its NetworkSpec, and this one has none; keep the state_dict of "
            "a module of your own yourself"
        )
    check_env_config(policy.env_config)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = _tensors(policy)
    description = {
        "format": FORMAT,
        "version": VERSION,
        "network": policy.spec.to_json(),
        "observation_shape": list(policy.observation_shape),
        "observation_normalization": policy.observation_mean is not None,
        "actions": _describe(policy.actions),
        "env": policy.env,
        "env_config": policy.env_config,
        "bytes": num_bytes(tensors),  # of a search's policies always the same
    }
    write_tensors(folder / WEIGHTS, tensors, belongs_to=json_digest(description))
    write_sealed_json(folder / "policy.json", description)


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
    if isinstance(actions, MultiDiscreteActions):
        return {
            "type": "multi-discrete",
            "sizes": list(actions.sizes),
            "starts": list(actions.starts),
        }
    return {"type": "box", "size": actions.num_outputs, "rescale": actions.rescale}


def read_policy(folder: Path, network: nn.Module | None) -> Policy:
    """Read a policy from its folder or from the folder of its run."""
    if not (folder / "policy.json").exists() and (folder / "policy").is_dir():
        folder = folder / "policy"
    data = read_json(folder / "policy.json", format_name=FORMAT, version=VERSION, sealed_since=3)
    size = data.get("bytes")  # the first files of version 3 had none
    tensors = read_tensors(folder / WEIGHTS, size=size, belongs_to=json_digest(data))
    try:
        spec = None  # a network of the caller's own may be another one than the files describe
        if network is None:
            spec = _read_spec(data["network"], tensors)
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
            env_config=_env_config(data),
        )
    except KeyError as error:
        raise CheckpointError(f"{folder} is not a whole policy: {error} is missing") from error
    except DAMAGE as error:
        raise CheckpointError(f"{folder} does not hold a whole policy: {error}") from error


def _read_spec(data: dict[str, Any], tensors: dict[str, Tensor]) -> NetworkSpec | SequentialSpec:
    """Return the description of a network that the tensors fill.

    The network is built without memory first: one of the wrong size may not fit into any.
    """
    kind = SequentialSpec if "steps" in data else NetworkSpec
    with torch.device("meta"):
        spec = kind.from_json(data)
        network = spec.build()
        tie_palettes_(network)
    _check_shapes(network, _network_state(tensors))
    return spec


def _env_config(data: dict[str, Any]) -> dict[str, Any]:
    env_config = data["env_config"] if data["version"] >= 3 else {}
    check_env_config(env_config)
    return dict(env_config)


def _actions(description: dict[str, Any], tensors: dict[str, Tensor]) -> Actions:
    if description["type"] == "discrete":
        return DiscreteActions(int(description["n"]), int(description["start"]))
    if description["type"] == "multi-discrete":
        sizes, starts = (tuple(map(int, description[name])) for name in ("sizes", "starts"))
        if len(sizes) != len(starts) or not sizes:
            raise CheckpointError(f"its actions have {len(sizes)} sizes and {len(starts)} starts")
        return MultiDiscreteActions(sizes, starts)
    low, high = tensors["action_low"], tensors["action_high"]
    if description["type"] != "box" or low.ndim != 1 or low.shape != high.shape:
        raise CheckpointError(
            f"its actions are of type {description['type']!r} with bounds of shapes "
            f"{tuple(low.shape)} and {tuple(high.shape)}, which is neither a box nor discrete"
        )
    return BoxActions(low.numpy(), high.numpy(), bool(description.get("rescale", False)))


def _network_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}


def _survivors(network: nn.Module) -> dict[str, str]:
    """Map the names of the values of which only the survivors are stored to those of the masks."""
    prefixes = [
        f"{path}." if path else ""
        for path, layer in network.named_modules()
        if isinstance(layer, MaskedLinear) and layer.num_edges is None
    ]
    return {f"{prefix}values": f"{prefix}mask" for prefix in prefixes}


def _check_shapes(network: nn.Module, state: dict[str, Tensor]) -> None:
    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    if state.keys() != own.keys():
        raise CheckpointError(f"its weights are {sorted(state)}, the network's are {sorted(own)}")
    expected = {name: tuple(target.shape) for name, target in own.items()}
    for values, mask in _survivors(network).items():
        expected[values] = (int(state[mask].sum()),)
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise CheckpointError(
                f"{name} has shape {tuple(state[name].shape)}, the network's is {shape}"
            )


def _load_network(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    tie_palettes_(network)  # a palette is stored once
    state = _network_state(tensors)
    _check_shapes(network, state)
    for values, name in _survivors(network).items():
        mask = state[name]
        state[values] = torch.zeros(mask.shape).masked_scatter(mask, state[values])
    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with torch.no_grad():
        for name, target in own.items():
            target.copy_(state[name])
    vector_to_topology(topology_to_vector(network), network)  # checks that the entries are in range
