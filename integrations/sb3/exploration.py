"""How much noise a compressed policy explores with."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import nn

from .policy_outputs import States, actor_outputs


@torch.no_grad()
def raise_exploration_(student: Any, teacher: nn.Module, states: States) -> None:
    """Raise the noise of a Gaussian policy to the error that compression left, in place.

    A policy at the end of its training explores with little noise. If its actions are off by more
    than that, hardly any trial comes near the old actions, and every change of a shared weight
    changes the probabilities of all actions so much that PPO clips it away. Each action's standard
    deviation becomes at least the root mean square of its error. Where noise depends on the state,
    or comes from elsewhere (gSDE, SAC, TD3), it stays.

    Args:
        student: the compressed policy; its ``log_std`` is raised.
        teacher: the policy that it was distilled from.
        states: where the error is measured.
    """
    log_std = getattr(student, "log_std", None)
    if not isinstance(log_std, nn.Parameter) or log_std.ndim != 1:
        return
    if not isinstance(student.action_space, spaces.Box):
        return
    wanted = actor_outputs(teacher, states)["means"]
    found = actor_outputs(student, states)["means"]
    error = (found - wanted).square().mean(dim=0).sqrt()
    log_std.copy_(torch.maximum(log_std, error.clamp(min=1e-8).log()))
