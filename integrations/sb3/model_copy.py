"""Copies of Stable-Baselines3 models that learn on their own."""

from __future__ import annotations

import copy
import warnings
from typing import Any, TypeVar

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.utils import get_parameters_by_name
from torch import nn

Model = TypeVar("Model", bound=BaseAlgorithm)

NETWORKS = ("actor", "critic", "q_net", "quantile_net")


def copy_model(model: Model) -> Model:
    """Return a copy of a model with the same environments and everything else its own.

    Networks, optimizers, counters and buffers are copied, a replay buffer too. The environments,
    and a VecNormalize among them, are those of the model. The next ``learn`` of the copy starts
    with fresh episodes and sets up a logger. A hindsight replay buffer asks those environments for
    rewards, and its last episode ends where it is.

    Args:
        model: of any algorithm; it is only read.
    """
    shared = [model.env, model._vec_normalize_env, getattr(model, "_logger", None)]
    memo: dict[int, Any] = {id(item): item for item in shared if item is not None}
    made = copy.deepcopy(model, {**memo, **_emptied_distributions(model.policy)})
    made._last_obs = None
    made._custom_logger = False
    _reconnect_(getattr(made, "replay_buffer", None), made.env)
    return made


def _reconnect_(replay_buffer: Any, env: Any) -> None:
    """Give a hindsight replay buffer its environments back, which no copy of it keeps."""
    if env is None or getattr(replay_buffer, "env", env) is not None:
        return
    replay_buffer.set_env(env)
    with warnings.catch_warnings():
        # It warns of an episode that was cut off; this one is cut off on purpose.
        warnings.filterwarnings("ignore", message="The last trajectory in the replay buffer")
        replay_buffer.truncate_last_trajectory()


def refresh_references_(model: BaseAlgorithm) -> None:
    """Point a model at the networks that its policy has now, in place."""
    policy: Any = model.policy
    create_aliases = getattr(model, "_create_aliases", None)
    if create_aliases is not None:
        create_aliases()
    # DQN and QRDQN, SAC and TQC, TD3 name the same lists differently.
    for name in NETWORKS:
        network = getattr(policy, name, None)
        for prefix in (f"{name}_", ""):
            key = f"{prefix}batch_norm_stats"
            if isinstance(network, nn.Module) and key in vars(model) and _is_owner(name, prefix):
                target = getattr(policy, f"{name}_target")
                setattr(model, key, get_parameters_by_name(network, ["running_"]))
                setattr(model, f"{key}_target", get_parameters_by_name(target, ["running_"]))
    if isinstance(vars(model).get("weights"), torch.Tensor):  # ARS moves one vector
        vector = nn.utils.parameters_to_vector(policy.parameters()).detach()
        model.weights, model.n_params = vector, len(vector)  # type: ignore[attr-defined]


def _is_owner(network: str, prefix: str) -> bool:
    """Tell whether statistics of that name belong to a network: bare names never mean an actor."""
    return bool(prefix) or network != "actor"


def copy_policy(policy: Any) -> Any:
    """Return a copy of a policy, its optimizers too."""
    return copy.deepcopy(policy, _emptied_distributions(policy))


def _emptied_distributions(policy: nn.Module) -> dict[int, Any]:
    """Return for each distribution of a policy, by id, what stands for it in a copy."""
    values = (value for module in policy.modules() for value in vars(module).values())
    return {id(value): _emptied(value) for value in values if isinstance(value, Distribution)}


def _emptied(distribution: Distribution) -> Distribution:
    """Return a copy without what the last batch left there: gradients cannot be copied."""
    made = copy.copy(distribution)
    for name, value in vars(made).items():
        if isinstance(value, torch.Tensor):
            setattr(made, name, value.detach().clone())
        elif _holds_batch(value):
            setattr(made, name, None)
    return made


def _holds_batch(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return any(isinstance(part, torch.distributions.Distribution) for part in parts)
