"""What a sweep starts from: its results are those of no other policy, environment or normaliser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .observations import environment_of

OPTIONS = ("norm_obs", "norm_reward", "clip_obs", "clip_reward", "gamma", "epsilon")


def origin_of(model: Any) -> dict[str, Any]:
    """Return policy, environments and normaliser of a model as plain values.

    Args:
        model: of any algorithm, with its environments.
    """
    env = environment_of(model)
    weights = (value.detach().cpu().numpy() for value in model.policy.state_dict().values())
    return {
        "policy_sha256": _digest(weights),
        "environment": _environment_name(env),
        "num_envs": int(env.num_envs),
        "normalizer_sha256": _normalizer_digest(model.get_vec_normalize_env()),
    }


def _environment_name(env: Any) -> str:
    """Return how an environment writes itself: its wrappers and its id."""
    try:
        return str(env.env_method("__str__", indices=0)[0])
    except (AttributeError, NotImplementedError):  # vectorised environments of other libraries
        return type(env.unwrapped).__name__


def _normalizer_digest(normalizer: Any) -> str | None:
    if normalizer is None:
        return None
    parts = [np.array([float(getattr(normalizer, name)) for name in OPTIONS])]
    seen = getattr(normalizer, "obs_rms", None)
    by_key = seen if isinstance(seen, Mapping) else {"": seen}
    for statistics in [*(by_key[key] for key in sorted(by_key)), normalizer.ret_rms]:
        if statistics is not None:
            parts += [statistics.mean, statistics.var, np.array(statistics.count)]
    return _digest(parts)


def _digest(arrays: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
