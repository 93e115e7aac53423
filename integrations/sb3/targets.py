"""Which layers of a Stable-Baselines3 policy belong to the actor and which to the critic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import nn

from ...errors import StructuredLayersError
from ...layers import StructuredLinear
from .structure import PRESETS

ONLINE_AND_TARGET = (
    ("actor", "actor_target"),
    ("critic", "critic_target"),
    ("q_net", "q_net_target"),
    ("quantile_net", "quantile_net_target"),
)
VALUE_NETWORKS = ("q_net", "quantile_net")
# What only the exploration noise of SAC, TQC and CrossQ needs.
NOT_DEPLOYED = ("actor.log_std",)
Names = list[str]


def policy_networks(policy: nn.Module) -> dict[str, list[Names]]:
    """Return the plain linear layers of the actor's and of the critic's networks.

    Args:
        policy: the policy of any algorithm of Stable-Baselines3 or sb3-contrib.

    Returns:
        For ``actor`` and ``critic`` the networks, each a list of full dotted names of layers that
        are exactly ``nn.Linear``. The Q-network of DQN and QRDQN is both actor and critic. A
        features extractor that actor and critic share belongs to neither, target networks are not
        listed.
    """
    return _networks(policy, _plain_layers(policy))


def target_networks(policy: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Return the pairs of an online network and the target network that follows it."""
    pairs = [(getattr(policy, a, None), getattr(policy, b, None)) for a, b in ONLINE_AND_TARGET]
    return [
        (online, target)
        for online, target in pairs
        if isinstance(online, nn.Module) and isinstance(target, nn.Module)
    ]


def deployed_layers(policy: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers, plain or structured, that a deterministic action passes through.

    Args:
        policy: the policy of any algorithm. A features extractor that the critic shares is part of
            what is deployed; what only the exploration noise needs is not.
    """
    layers = online_layers(policy)
    critic = {name for names in _networks(policy, layers)["critic"] for name in names}
    if _is_value_based(policy):
        critic = set()
    return {n: m for n, m in layers.items() if n not in critic and not _is_in(n, NOT_DEPLOYED)}


def critic_layers(policy: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers, plain or structured, that only the critic uses."""
    layers = online_layers(policy)
    names = [name for network in _networks(policy, layers)["critic"] for name in network]
    return {name: layers[name] for name in names}


def online_layers(policy: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers, plain or structured, outside of target networks, each once."""
    targets = tuple(target for _, target in ONLINE_AND_TARGET)
    found: dict[str, nn.Module] = {}
    for name, part in policy.named_modules():
        is_linear = isinstance(part, (nn.Linear, StructuredLinear))
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if is_linear and not inside and not _is_in(name, targets):
            found[name] = part
    return found


def find_targets(policy: nn.Module, target: str | tuple[str, ...]) -> list[Names]:
    """Return the plain linear layers that a target names, a list for each network.

    Args:
        policy: the policy.
        target: ``actor``, ``critic``, ``all``, a regular expression that matches full dotted
            names, or these names.

    Raises:
        StructuredLayersError: if there are none; it lists the names that exist, or says that these
            layers are structured already.
    """
    plain, structured = _plain_layers(policy), _structured_layers(policy)
    if not plain and not structured:
        raise StructuredLayersError(
            f"a {type(policy).__name__} has no nn.Linear layers, so nothing can be structured"
        )
    if isinstance(target, str) and target not in PRESETS:
        _check_expression(target, plain)
    done = _matching(policy, structured, target)
    missing = [] if isinstance(target, str) else [name for name in target if name not in plain]
    chosen = _matching(policy, plain, target)
    if done and (missing or not chosen):
        raise StructuredLayersError(_already(target, {name: structured[name] for name in done}))
    if missing:
        raise StructuredLayersError(
            f"target {', '.join(missing)} is no nn.Linear of this policy; {_listing(plain)}"
        )
    if not chosen:
        raise StructuredLayersError(f"target {target!r} matches no nn.Linear; {_listing(plain)}")
    return _by_network(chosen, policy_networks(policy))


def _matching(policy: nn.Module, layers: Iterable[str], target: str | tuple[str, ...]) -> Names:
    if isinstance(target, tuple):
        return [name for name in layers if name in target]
    if target in ("actor", "critic"):
        return [name for network in _networks(policy, layers)[target] for name in network]
    return [name for name in layers if target == "all" or re.fullmatch(target, name)]


def _check_expression(target: str, plain: Iterable[str]) -> None:
    try:
        re.compile(target)
    except re.error as error:
        raise StructuredLayersError(
            f"target {target!r} is no regular expression: {error}; {_listing(plain)}"
        ) from error


def _already(target: str | tuple[str, ...], layers: Mapping[str, nn.Module]) -> str:
    listed = ", ".join(f"{name} (a {type(layer).__name__})" for name, layer in layers.items())
    return (
        f"target {target!r} is structured already: {listed}; a layer is structured once, so start "
        "from the dense model"
    )


def _listing(plain: Iterable[str]) -> str:
    return (
        f"give {', '.join(PRESETS)}, a regular expression or names out of: {', '.join(plain)} "
        "(target networks follow their online networks)"
    )


def _by_network(chosen: Names, networks: dict[str, list[Names]]) -> list[Names]:
    """Split names by network; what actor and critic share counts as one more network."""
    parts, rest = [], list(chosen)
    for network in (network for role in ("actor", "critic") for network in networks[role]):
        part = [name for name in rest if name in network]
        rest = [name for name in rest if name not in part]
        parts.append(part)
    return [part for part in [*parts, rest] if part]


def _networks(policy: nn.Module, layers: Iterable[str]) -> dict[str, list[Names]]:
    names = list(layers)
    if _is_value_based(policy):
        both = [n for n in names if _is_in(n, VALUE_NETWORKS)]
        return {"actor": [both], "critic": [both]}
    if isinstance(getattr(policy, "actor", None), nn.Module):
        shared = _shared_extractor(policy, "actor.features_extractor", "critic.features_extractor")
        actor = [n for n in names if _is_in(n, ("actor",)) and not _is_in(n, shared)]
        return {"actor": [actor], "critic": _critic_networks(names)}
    shared = _shared_extractor(policy, "pi_features_extractor", "vf_features_extractor")
    value = ("mlp_extractor.value_net", "value_net", "vf_features_extractor", "critic")
    critic = [n for n in names if _is_in(n, value)]
    actor = [n for n in names if n not in critic and not _is_in(n, shared)]
    return {"actor": [actor], "critic": [critic] if critic else []}


def _critic_networks(names: Names) -> list[Names]:
    """Return the layers of ``critic.qf0``, ``critic.qf1``, … and of an extractor of its own."""
    networks: dict[str, Names] = {}
    for name in names:
        parts = name.split(".")
        if parts[0] == "critic":
            networks.setdefault(parts[1], []).append(name)
    return list(networks.values())


def _shared_extractor(policy: nn.Module, first: str, second: str) -> tuple[str, ...]:
    """Return the names of a features extractor that two networks share."""
    modules = dict(policy.named_modules(remove_duplicate=False))
    if modules.get(first) is None or modules.get(first) is not modules.get(second):
        return ()
    return tuple(name for name, module in modules.items() if module is modules[first])


def _is_value_based(policy: nn.Module) -> bool:
    return any(isinstance(getattr(policy, name, None), nn.Module) for name in VALUE_NETWORKS)


def _plain_layers(policy: nn.Module) -> dict[str, nn.Module]:
    return {name: part for name, part in online_layers(policy).items() if type(part) is nn.Linear}


def _structured_layers(policy: nn.Module) -> dict[str, nn.Module]:
    found = online_layers(policy).items()
    return {name: part for name, part in found if isinstance(part, StructuredLinear)}


def _is_in(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
