"""Which algorithm of Stable-Baselines3 a saved model is of, as far as its zip tells.

Zips do not name their algorithm, and many load as a model of another one, or fail when it learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The first setting that a zip has decides.
SETTINGS = {
    "n_delta": "ars",
    "top_quantiles_to_drop_per_net": "tqc",
    "n_quantiles": "qrdqn",
    "exploration_fraction": "dqn",
    "target_policy_noise": "td3",
    "target_entropy": "sac",
    "cg_max_steps": "trpo",
    "clip_range": "ppo",
    "vf_coef": "a2c",
}
POLICIES = {
    "CrossQPolicy": "crossq",
    "MaskableActorCriticPolicy": "maskable_ppo",
    "QRDQNPolicy": "qrdqn",
    "RecurrentActorCriticPolicy": "ppo_lstm",
    "TQCPolicy": "tqc",
}


def algorithm_of(data: Mapping[str, Any]) -> str | None:
    """Return the name of the algorithm whose settings and policy a zip holds, None if unknown.

    Args:
        data: what SB3's loader found in the zip.
    """
    lineage = [cls.__name__ for cls in getattr(data.get("policy_class"), "__mro__", ())]
    by_policy = [name for policy, name in POLICIES.items() if policy in lineage]
    by_settings = [name for setting, name in SETTINGS.items() if setting in data]
    found = next(iter(by_policy + by_settings), None)
    return "ddpg" if found == "td3" and _is_ddpg(data) else found


def _is_ddpg(data: Mapping[str, Any]) -> bool:
    """Tell whether settings are those that DDPG gives to TD3, which does its work."""
    critics = data.get("policy_kwargs", {}).get("n_critics")
    return (data.get("policy_delay"), data.get("target_noise_clip"), critics) == (1, 0.0, 1)
