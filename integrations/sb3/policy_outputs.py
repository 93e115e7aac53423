"""What the networks of a policy compute, before actions are drawn from it."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

States = Tensor | dict[str, Tensor]
Outputs = dict[str, Tensor]

LEAK = 0.05
"""What is left of a difference outside of the bounds of the actions, where it changes no action."""


def is_recurrent(policy: Any) -> bool:
    """Tell whether a policy carries a memory from step to step."""
    return hasattr(policy, "lstm_actor")


def is_stochastic(policy: Any) -> bool:
    """Tell whether a policy draws its actions when it explores."""
    actor = getattr(policy, "actor", None)
    return hasattr(policy, "mlp_extractor") or hasattr(actor, "get_action_dist_params")


def actor_outputs(policy: Any, states: States) -> Outputs:
    """Return what decides about the actions, each part (batch, outputs).

    - PPO and its kin: the means of the actions, pressed together outside of the bounds, or logits
      of which each choice's mean is subtracted.
    - SAC, TQC, CrossQ: the squashed means, and the logarithms of the standard deviations.
    - TD3, DDPG, ARS: the actions, or ARS's scores of the actions.
    - DQN, QRDQN: the values of the actions, and how they differ from their mean.

    Args:
        policy: of any of the algorithms.
        states: observations as tensors; of a recurrent policy, what its memory puts out.
    """
    if hasattr(policy, "mlp_extractor"):
        return {"means": _actor_critic_means(policy, states)}
    if hasattr(policy, "q_net") or hasattr(policy, "quantile_net"):
        return _action_values(policy, states)
    if hasattr(policy, "action_net"):
        features = policy.extract_features(states, policy.features_extractor)
        return {"means": policy.action_net(features)}
    actor = policy.actor
    if not is_stochastic(policy):
        return {"means": actor(states)}
    means, log_stds, keywords = actor.get_action_dist_params(states)
    squashed = torch.tanh(means)
    # With gSDE the standard deviations are parameters, which a conversion leaves alone.
    return {"means": squashed} if keywords else {"means": squashed, "log_stds": log_stds}


def critic_outputs(policy: Any, states: States, actions: Tensor | None) -> Outputs:
    """Return what the critics say, each part (batch, outputs).

    Args:
        policy: of an algorithm with critics.
        states: as in :func:`actor_outputs`.
        actions: scaled to [-1, 1], (batch, dimensions); None for critics of states.
    """
    if hasattr(policy, "mlp_extractor"):
        if is_recurrent(policy):
            return {"values": policy.value_net(policy.mlp_extractor.forward_critic(states))}
        return {"values": policy.predict_values(states)}
    values = policy.critic(states, actions)
    parts = values if isinstance(values, tuple) else (values,)
    return {"values": torch.cat([part.flatten(1) for part in parts], dim=1)}


def _actor_critic_means(policy: Any, states: States) -> Tensor:
    if is_recurrent(policy):
        features = states
    else:
        features = policy.extract_features(states)
        if not policy.share_features_extractor:
            features = features[0]
    means = policy.action_net(policy.mlp_extractor.forward_actor(features))
    space = policy.action_space
    if isinstance(space, spaces.Box):
        return torch.tanh(means) if policy.squash_output else _pressed(means, space)
    if isinstance(space, spaces.MultiBinary):
        return means  # type: ignore[no-any-return]
    sizes = [int(space.n)] if isinstance(space, spaces.Discrete) else space.nvec.tolist()
    parts = means.split(sizes, dim=1)
    return torch.cat([part - part.mean(dim=1, keepdim=True) for part in parts], dim=1)


def _pressed(means: Tensor, space: spaces.Box) -> Tensor:
    """Keep means inside the bounds as they are, and LEAK of what lies outside."""
    low = torch.as_tensor(space.low.flatten()).to(means)
    high = torch.as_tensor(space.high.flatten()).to(means)
    inside = means.clamp(low, high)
    return inside + LEAK * (means - inside)


def _action_values(policy: Any, states: States) -> Outputs:
    if hasattr(policy, "q_net"):
        values = values_of_actions = policy.q_net(states)
    else:
        quantiles = policy.quantile_net(states)  # (batch, quantiles, actions)
        values, values_of_actions = quantiles.flatten(1), quantiles.mean(dim=1)
    advantages = values_of_actions - values_of_actions.mean(dim=1, keepdim=True)
    return {"values": values, "advantages": advantages}
