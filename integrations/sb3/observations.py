"""States that a policy meets in the environments of its model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ...errors import StructuredLayersError
from .policy_outputs import States, is_recurrent, is_stochastic

NOISE = 0.1
"""Exploration where a policy has none of its own: standard deviation as a share of half the range
of an action, or the share of random choices."""


def collect_states(model: Any, policy: Any, num_states: int, *, seed: int = 0) -> States:
    """Let a policy act in a model's environments, and return the states it met.

    Every second episode is deterministic, the others explore as the policy does in training. The
    statistics of a VecNormalize stay as they are. The environments are left in the middle of
    episodes, so the next ``learn`` of the model starts with fresh ones.

    Args:
        model: whose environments run.
        policy: who acts; the model's own or a compressed one.
        num_states: how many states, rounded up to all environments.
        seed: of the noise for policies that have none of their own.

    Returns:
        Observations as the policy takes them; of a recurrent policy, what its memory puts out.

    Raises:
        StructuredLayersError: if the model has no environment.
    """
    env = environment_of(model)
    try:
        with fixed_normalizer(model), evaluation_mode(policy):
            return _met_states(policy, env, num_states, np.random.default_rng(seed))
    finally:  # the observations that a stopped training would go on from are out of date
        model._last_obs = None


def _met_states(policy: Any, env: Any, num_states: int, rng: np.random.Generator) -> States:
    parts: list[States] = []
    with _memory_outputs(policy) as memories:
        observations, state = env.reset(), None
        explores = np.arange(env.num_envs) % 2 == 1
        starts = np.ones(env.num_envs, dtype=bool)
        for _ in range(-(-num_states // env.num_envs)):
            memories.clear()
            actions, state = _act(policy, env, observations, (state, starts), explores, rng)
            parts.append(memories[0] if memories else policy.obs_to_tensor(observations)[0])
            observations, _, starts, _ = env.step(actions)
            explores = explores ^ starts
    return concatenate(parts)


def environment_of(model: Any) -> Any:
    """Return the environments of a model.

    Raises:
        StructuredLayersError: if it has none.
    """
    env = model.get_env()
    if env is None:
        raise StructuredLayersError(
            "the model has no environment to run its policy in; load it with env=..., or call "
            "model.set_env(env) first"
        )
    return env


@contextmanager
def fixed_normalizer(model: Any) -> Iterator[None]:
    """Keep the statistics of a model's VecNormalize as they are, and rewards unscaled."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None:
        yield
        return
    flags = normalizer.training, normalizer.norm_reward
    normalizer.training, normalizer.norm_reward = False, False
    try:
        yield
    finally:
        normalizer.training, normalizer.norm_reward = flags


@contextmanager
def evaluation_mode(policy: nn.Module) -> Iterator[None]:
    """Keep dropout off and the statistics of batch norms as they are."""
    modes = {module: module.training for module in policy.modules()}
    policy.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def num_states_of(states: States) -> int:
    """Return how many states there are."""
    return len(next(iter(states.values())) if isinstance(states, dict) else states)


def concatenate(parts: list[States]) -> States:
    """Join states of the same kind."""
    if isinstance(parts[0], dict):
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}  # type: ignore[index]
    return torch.cat(parts)  # type: ignore[arg-type]


def select(states: States, index: Tensor) -> States:
    """Return the states of an index."""
    if isinstance(states, dict):
        return {key: part[index] for key, part in states.items()}
    return states[index]


@contextmanager
def _memory_outputs(policy: Any) -> Iterator[list[Tensor]]:
    """Collect what the memory of a recurrent policy puts out, nothing for others."""
    found: list[Tensor] = []
    if not is_recurrent(policy):
        yield found
        return
    hook = policy.lstm_actor.register_forward_hook(
        lambda module, inputs, output: found.append(output[0].detach().flatten(0, 1))
    )
    try:
        yield found
    finally:
        hook.remove()


def _act(
    policy: Any, env: Any, observations: Any, memory: Any, explores: Any, rng: np.random.Generator
) -> tuple[Any, Any]:
    keywords = _action_masks(policy, env)
    plain, state = policy.predict(observations, *memory, deterministic=True, **keywords)
    if not explores.any():
        return plain, state
    if not is_stochastic(policy):
        noisy = _perturbed(plain, policy.action_space, rng)
    else:
        if getattr(policy, "use_sde", False):
            policy.reset_noise(env.num_envs)
        noisy, _ = policy.predict(observations, *memory, deterministic=False, **keywords)
    chosen = explores.reshape(-1, *[1] * (plain.ndim - 1))
    return np.where(chosen, noisy, plain), state


def _action_masks(policy: Any, env: Any) -> dict[str, Any]:
    """Return the masks of impossible actions, for policies that take them."""
    takes_masks = "action_masks" in inspect.signature(policy.predict).parameters
    if not takes_masks or not env.has_attr("action_masks"):
        return {}
    return {"action_masks": np.stack(env.env_method("action_masks"))}


def _perturbed(actions: Any, space: spaces.Space[Any], rng: np.random.Generator) -> Any:
    if isinstance(space, spaces.Box):
        half = (space.high - space.low) / 2
        noisy = actions + NOISE * half * rng.standard_normal(actions.shape)
        return noisy.clip(space.low, space.high).astype(actions.dtype)
    random = rng.integers(0, space.n, actions.shape)  # type: ignore[attr-defined]
    return np.where(rng.random(actions.shape) < NOISE, random, actions)
