"""Whether a model can learn in its environments at all."""

from __future__ import annotations

import inspect
from typing import Any

from stable_baselines3.common.noise import VectorizedActionNoise
from stable_baselines3.common.type_aliases import TrainFrequencyUnit

from ...errors import StructuredLayersError
from .observations import environment_of


def check_can_learn(model: Any) -> None:
    """Refuse what ``learn`` would fail at, before anything has run.

    A model that was trained in other environments than those that it has now loads, acts and is
    evaluated without complaint.

    Args:
        model: of any algorithm, with its environments.

    Raises:
        StructuredLayersError: if the number of environments does not suit the algorithm's settings,
            or masks of actions are missing.
    """
    num_envs = environment_of(model).num_envs
    needed, reason = _needed_envs(model)
    if needed not in (None, num_envs):
        raise StructuredLayersError(
            f"the model cannot learn in {num_envs} environments: {reason}; give it {needed} "
            f"(--num-envs {needed}), or no steps of fine-tuning"
        )
    if "use_masking" in inspect.signature(model.learn).parameters:
        if not model.get_env().has_attr("action_masks"):
            raise StructuredLayersError(
                f"the model is a {type(model).__name__}, which cannot learn in an environment "
                "without action_masks; wrap it with sb3_contrib's ActionMasker, or give no steps "
                "of fine-tuning"
            )


def _needed_envs(model: Any) -> tuple[int | None, str]:
    """Return how many environments a model has to have, and why; None for any number."""
    if getattr(getattr(model, "train_freq", None), "unit", None) is TrainFrequencyUnit.EPISODE:
        return 1, "it trains after whole episodes (train_freq)"
    noise = getattr(model, "action_noise", None)
    if isinstance(noise, VectorizedActionNoise):
        return len(noise.noises), f"its action noise was made for {len(noise.noises)}"
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None and buffer.n_envs != model.get_env().num_envs:
        return int(buffer.n_envs), f"its replay buffer was filled by {buffer.n_envs}"
    return None, ""
