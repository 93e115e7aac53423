"""Optimizers of a policy whose layers were replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

Replacement = tuple[nn.Module, nn.Module]


def rebuilt_optimizers(
    policy: nn.Module, replaced: Iterable[Replacement]
) -> list[tuple[nn.Module, Optimizer]]:
    """Return for every module of a policy that owns an optimizer one over its present parameters.

    Class, options and the state of parameters that stayed are those of the old optimizer, which is
    left alone. Parameters of a new layer go where those of the old layer were. Adam on the CPU
    becomes fused where nothing else was asked for: the many small parameters of structured layers
    would cost more than their updates.

    Args:
        policy: the policy, after the replacement.
        replaced: the old and the new layer of each place.
    """
    pairs = list(replaced)
    return [
        (owner, _rebuilt(owner, owner.__dict__["optimizer"], pairs))
        for owner in policy.modules()
        if isinstance(owner.__dict__.get("optimizer"), Optimizer)
    ]


def _rebuilt(owner: nn.Module, old: Optimizer, replaced: list[Replacement]) -> Optimizer:
    groups: list[dict[str, Any]] = []
    taken: set[int] = set()  # a palette may serve layers of several groups
    for group in old.param_groups:
        parameters = [p for p in _present(owner, group["params"], replaced) if id(p) not in taken]
        taken.update(map(id, parameters))
        fused = {"fused": True} if _may_fuse(type(old), group) else {}
        groups.append({**group, **fused, "params": parameters})
    # The groups hold every option, so that no constructor has to know the names of all of them.
    make: Callable[..., Optimizer] = type(old)
    new = make(groups, lr=old.param_groups[0]["lr"])
    new.defaults = dict(old.defaults)
    for group in new.param_groups:
        for parameter in group["params"]:
            if parameter in old.state:
                new.state[parameter] = old.state[parameter]
    return new


def _may_fuse(optimizer: type[Optimizer], group: dict[str, Any]) -> bool:
    """Tell whether a group's options leave open how its steps are computed."""
    asked = any(group.get(key) for key in ("foreach", "capturable", "differentiable"))
    is_open = group.get("foreach") is None and group.get("fused") is None and not asked
    on_cpu = all(p.is_floating_point() and p.device.type == "cpu" for p in group["params"])
    return optimizer in (Adam, AdamW) and is_open and on_cpu


def _present(
    owner: nn.Module, parameters: list[nn.Parameter], replaced: list[Replacement]
) -> list[nn.Parameter]:
    """Return a group's parameters after the replacement, in the order of the owner's modules.

    That order is the same for a policy that was built with its structure and for one that was
    converted later, so that the saved state of one fits the other.
    """
    wanted = {id(p): p for p in parameters}
    for before, after in replaced:
        gone = [id(p) for p in before.parameters() if id(p) in wanted]
        for key in gone:
            del wanted[key]
        if gone:
            wanted |= {id(p): p for p in after.parameters()}
    ordered = [p for p in owner.parameters() if id(p) in wanted]
    elsewhere = [p for p in wanted.values() if not any(p is other for other in ordered)]
    return [*ordered, *elsewhere]
