"""The return of a model over fresh episodes."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .observations import environment_of, fixed_normalizer


def evaluate(model: Any, num_episodes: int, seed: int) -> NDArray[np.float64]:
    """Return the returns of deterministic episodes in the environments of a model.

    Rewards are unscaled, and the statistics of a VecNormalize stay as they are. The next ``learn``
    of the model starts with fresh episodes.

    Args:
        model: of any algorithm.
        num_episodes: how many episodes.
        seed: of the environments; the same seed gives models of the same environments the same
            episodes.
    """
    env = environment_of(model)
    with fixed_normalizer(model):
        env.seed(seed)
        returns, _ = _evaluate_policy(model)(
            model, env, n_eval_episodes=num_episodes, return_episode_rewards=True, warn=False
        )
    model._last_obs = None
    return np.asarray(returns, dtype=np.float64)


def _evaluate_policy(model: Any) -> Any:
    """Return SB3's function, or that of the algorithms whose actions are masked."""
    if "action_masks" in inspect.signature(model.predict).parameters:
        from sb3_contrib.common.maskable.evaluation import evaluate_policy as masked

        takes_masks = model.get_env().has_attr("action_masks")
        return functools.partial(masked, use_masking=takes_masks)
    from stable_baselines3.common.evaluation import evaluate_policy

    return evaluate_policy
