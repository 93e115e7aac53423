"""The state of EvoTorch's optimizers as tensors and plain values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from evotorch.optimizers import ClipUp, TorchOptimizer


def optimizer_state_dict(optimizer: ClipUp | TorchOptimizer) -> dict[str, Any]:
    """Return a copy of what later steps of an EvoTorch Adam, SGD or ClipUp depend on."""
    if isinstance(optimizer, ClipUp):
        return {"velocity": optimizer._velocity}  # each step makes a new one
    state = optimizer.contained_optimizer.state_dict()["state"].get(0, {})
    return dict(copy.deepcopy(state))  # PyTorch's steps write in place


def load_optimizer_state_dict(optimizer: ClipUp | TorchOptimizer, state: Mapping[str, Any]) -> None:
    """Continue from what :func:`optimizer_state_dict` returned."""
    if isinstance(optimizer, ClipUp):
        optimizer._velocity = state["velocity"]
        return
    inner = optimizer.contained_optimizer
    full = inner.state_dict()
    full["state"] = {0: copy.deepcopy(dict(state))} if state else {}
    inner.load_state_dict(full)


def set_step_size(optimizer: ClipUp | TorchOptimizer, step_size: float) -> None:
    """Change the step size; ClipUp's highest speed stays as many steps as it was."""
    for group in optimizer.contained_optimizer.param_groups:
        if group["lr"] == step_size:
            continue
        if "max_speed" in group:
            group["max_speed"] *= step_size / group["lr"]
        group["lr"] = step_size
