"""Policies of Stable-Baselines3's and sb3-contrib's algorithms that take a ``structure``.

The classes are attributes of this module, named after algorithm and alias, such as
``StructuredPPOMlpPolicy`` and ``StructuredRecurrentPPOMlpLstmPolicy``. Zips store them by name.
"""

from __future__ import annotations

import importlib
import importlib.util

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from .ars import StructuredARSPolicy
from .structured import StructuredPolicy, StructuredTRPOPolicy

ALGORITHMS = {
    "stable_baselines3": ("PPO", "A2C", "SAC", "TD3", "DDPG", "DQN"),
    "sb3_contrib": ("TQC", "TRPO", "CrossQ", "QRDQN", "RecurrentPPO", "MaskablePPO", "ARS"),
}
PREFIX = "Structured"


def structured_policy(
    base: type[BasePolicy], algorithm: type[BaseAlgorithm] | None = None
) -> type[BasePolicy]:
    """Return the class that is a policy class and takes ``structure``.

    Args:
        base: any policy class. One that takes a structure already is returned as it is.
        algorithm: whose policy it is to be; TRPO needs a class of its own.

    Returns:
        A class of this module for the algorithms' own policies, else a new class. Zips store that
        one as a whole; to have it stored by name, write ``class Name(StructuredPolicy, base)`` in a
        module of yours.
    """
    if issubclass(base, StructuredPolicy):
        return base
    lineage = [] if algorithm is None else [cls.__name__ for cls in algorithm.__mro__]
    for name in [*lineage, *(n for names in ALGORITHMS.values() for n in names)]:
        for alias, known in _ALIASES.get(name, {}).items():
            if known is base:
                return CLASSES[f"{PREFIX}{name}{alias}"]
    return type(f"{PREFIX}{base.__name__}", (_mixin(lineage, base), base), {})


def _mixin(lineage: list[str], base: type[BasePolicy]) -> type[StructuredPolicy]:
    if "TRPO" in lineage:
        return StructuredTRPOPolicy
    is_ars = "ARS" in lineage or any(cls.__name__ == "ARSPolicy" for cls in base.__mro__)
    return StructuredARSPolicy if is_ars else StructuredPolicy


def _installed_algorithms() -> list[type[BaseAlgorithm]]:
    """Return the algorithms with aliases of their own, so DDPG, which has TD3's, is left out."""
    found = []
    for package, names in ALGORITHMS.items():
        if importlib.util.find_spec(package) is not None:
            module = importlib.import_module(package)
            found += [getattr(module, name) for name in names]
    return [algorithm for algorithm in found if "policy_aliases" in vars(algorithm)]


def _register() -> dict[str, type[BasePolicy]]:
    """Make a class for every alias of every algorithm, and an alias for it."""
    classes = {}
    for algorithm in _installed_algorithms():
        plain = {a: b for a, b in algorithm.policy_aliases.items() if not a.startswith(PREFIX)}
        _ALIASES[algorithm.__name__] = plain
        for alias, base in plain.items():
            name = f"{PREFIX}{algorithm.__name__}{alias}"
            mixin = _mixin([algorithm.__name__], base)
            doc = f"{algorithm.__name__}'s ``{alias}`` that takes a ``structure``."
            body = {"__module__": __name__, "__qualname__": name, "__doc__": doc}
            classes[name] = algorithm.policy_aliases[f"{PREFIX}{alias}"] = type(
                name, (mixin, base), body
            )
    return classes


_ALIASES: dict[str, dict[str, type[BasePolicy]]] = {}
CLASSES = _register()


def __getattr__(name: str) -> type[BasePolicy]:
    if name in CLASSES:
        return CLASSES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *CLASSES])
