"""Which layers of a module a conversion is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from torch import nn

from ..errors import StructuredLayersError
from ..layers import StructuredLinear

Pattern = str | Iterable[str]
MAX_LISTED = 20
MODULE_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


class Layers:
    """The modules of a network by full dotted name, and who shares what.

    Args:
        module: the network; it is only read.
    """

    def __init__(self, module: nn.Module) -> None:
        """Collect names, places and the owners of parameters."""
        named = dict(module.named_modules(remove_duplicate=False))
        # What lies inside a structured layer makes its weight and is no layer of the network.
        structured = (name for name, part in named.items() if isinstance(part, StructuredLinear))
        inside = tuple(f"{name}." if name else "" for name in structured)
        self.by_name = {
            name: part for name, part in named.items() if name and not name.startswith(inside)
        }
        self._places: dict[int, list[str]] = defaultdict(list)
        self._owners: dict[int, list[str]] = defaultdict(list)
        for name, part in module.named_modules():
            for child_name, child in part._modules.items():
                self._places[id(child)].append(f"{name}.{child_name}" if name else child_name)
            for parameter in part._parameters.values():
                self._owners[id(parameter)].append(name or "the module itself")

    def match(self, pattern: Pattern, argument: str) -> list[str]:
        """Return the names that a regular expression or a list of full dotted names selects.

        A regular expression has to match the full name; of what it matches, only layers with
        weights count, so that it may pass over containers and activations.

        Raises:
            StructuredLayersError: if it is no such thing, or if a part of it matches nothing.
        """
        if isinstance(pattern, str):
            expression = _compiled(pattern, argument)
            names = [n for n in self.by_name if expression.fullmatch(n) and self._has_weights(n)]
            missing = [] if names else [pattern]
        else:
            names = _names(pattern, argument)
            missing = [name for name in names if name not in self.by_name]
        if missing or not names:
            raise StructuredLayersError(
                f"{argument} matches no layer with {missing or names!r}; {self.listing()}"
            )
        return names

    def dense(self) -> list[str]:
        """Return the names of all layers that are exactly ``nn.Linear``, each once."""
        firsts = {id(part): name for name, part in reversed(self.by_name.items())}
        return [
            name
            for name, part in self.by_name.items()
            if type(part) is nn.Linear and firsts[id(part)] == name
        ]

    def listing(self) -> str:
        """Return a sentence about which layers there are."""
        names = self.dense()
        if not names:
            return "the module has no nn.Linear layers"
        more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
        return f"its nn.Linear layers are {', '.join(names[:MAX_LISTED])}{more}"

    def checked(self, names: Iterable[str]) -> dict[str, nn.Linear]:
        """Return the layers of these names, each once, if all of them can be replaced.

        Raises:
            StructuredLayersError: naming every layer that cannot.
        """
        layers: dict[int, tuple[str, nn.Linear]] = {}
        refused = []
        for name in names:
            layer, obstacle = self.by_name[name], self._obstacle(name)
            if obstacle is None and isinstance(layer, nn.Linear):
                layers.setdefault(id(layer), (name, layer))
            else:
                refused.append(f"{name} ({obstacle})")
        if refused:
            raise StructuredLayersError(
                f"only plain nn.Linear layers can be converted, which {'; '.join(refused)} is not; "
                "leave it out with exclude_modules"
            )
        return dict(layers.values())

    def _has_weights(self, name: str) -> bool:
        part = self.by_name[name]
        tensors = (p for p in part._parameters.values() if p is not None)
        return isinstance(part, (nn.Linear, StructuredLinear)) or any(p.ndim > 1 for p in tensors)

    def _obstacle(self, name: str) -> str | None:
        """Return why a layer cannot be replaced, None if it can."""
        layer = self.by_name[name]
        if type(layer) is not nn.Linear:
            return f"a {type(layer).__name__}"
        if len(self._places[id(layer)]) > 1:
            return f"one module used as {' and '.join(self._places[id(layer)])}"
        if set(layer._parameters) != {"weight", "bias"} or layer._modules or layer._buffers:
            return "an nn.Linear with further parameters, buffers or modules"
        if any(parameter.is_meta for parameter in layer.parameters()):
            return "on the meta device, without values"
        owners = {o for p in layer.parameters() for o in self._owners[id(p)]}
        if len(owners) > 1:
            return f"its parameters are shared by {' and '.join(sorted(owners))}"
        if not all(parameter.is_floating_point() for parameter in layer.parameters()):
            return f"an nn.Linear of {layer.weight.dtype}, not a real floating-point type"
        if _has_hooks(layer):
            return "an nn.Linear with hooks, which would be lost"
        if "forward" in vars(layer):
            return "an nn.Linear with a forward of its own, which would be lost"
        return None


def parent_and_child(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module that holds the layer of a full dotted name, and its name in there."""
    parent, _, child = name.rpartition(".")
    return module.get_submodule(parent), child


def _has_hooks(layer: nn.Module) -> bool:
    of_parameters = (getattr(p, name) for p in layer.parameters() for name in PARAMETER_HOOKS)
    return any(getattr(layer, name) for name in MODULE_HOOKS) or any(of_parameters)


def _compiled(pattern: str, argument: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise StructuredLayersError(
            f"{argument} must be a regular expression or a list of full dotted names, got "
            f"{pattern!r}: {error}"
        ) from error


def _names(pattern: Iterable[str], argument: str) -> list[str]:
    is_list = isinstance(pattern, Iterable) and not isinstance(pattern, (bytes, Mapping))
    names = list(pattern) if is_list else []
    if not is_list or not all(isinstance(name, str) for name in names):
        raise StructuredLayersError(
            f"{argument} must be a regular expression or a list of full dotted names, "
            f"got {pattern!r}"
        )
    return names
