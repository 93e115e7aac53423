"""Learners of Stable-Baselines3 that act in one environment and learn from one buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from structured_layers.errors import StructuredLayersError

from .learner_agreement import check_agreement

EPISODE = TrainFreq(1, TrainFrequencyUnit.EPISODE)
_HANDED_ON = (
    *("_last_obs", "_last_original_obs", "_last_episode_starts"),
    *("num_timesteps", "_current_progress_remaining", "_episode_num"),
)


class RolloutResult(NamedTuple):
    """One episode of a learner.

    Attributes:
        episode_return: sum of the rewards, not normalised; NaN if a callback stopped the episode.
        goes_on: False if a callback stopped the training.
    """

    episode_return: float
    goes_on: bool


class Portfolio:
    """Learners that take turns in the environment of the first, which owns logger and callbacks.

    Args:
        models: with actors of one form, and one environment each (no several in parallel).

    Raises:
        StructuredLayersError: learners that cannot share.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        """Let all learners use the environment and the replay buffer of the first."""
        first, *others = models
        env = first.get_env()
        if env.num_envs != 1:
            raise StructuredLayersError(
                "CERL gives single episodes to its learners and needs one environment, got "
                f"{env.num_envs} in parallel; make it with n_envs=1"
            )
        check_agreement(models)
        for model in others:
            if model.get_env() is not env:
                model.set_env(env)
            model.replay_buffer = first.replay_buffer
        self._models = list(models)
        self._acting = first
        self.episode_return = 0.0

    def counter(self) -> BaseCallback:
        """Return the callback that counts the steps and rewards of whoever acts."""
        return _Counter(self)

    def set_up(self, total: int, callback: Any, *options: Any) -> tuple[int, Any]:
        """Prepare all learners as their own ``learn`` would.

        Args:
            total: environment steps.
            callback: of the first learner.
            options: the other arguments of Stable-Baselines3's ``_setup_learn``.

        Returns:
            The steps at which training ends, and the callback of the first learner.
        """
        first, *others = self._models
        end, made = first._setup_learn(total, callback, *options)
        self._acting = first
        self._hand_on(first)
        for model in others:
            model.set_logger(Logger(None, []))  # what it says of its training is not mixed in
            # Without a reset of the environment, which happened once.
            model._setup_learn(end - first.num_timesteps, None, False)
        return end, made

    def roll_out(self, number: int, callback: Any, log_interval: int | None) -> RolloutResult:
        """Let a learner act for an episode."""
        learner, before = self._models[number], self._acting
        _copy_position(before, learner)
        self._acting, self.episode_return = learner, 0.0
        try:
            result = learner.collect_rollouts(
                learner.get_env(),
                train_freq=EPISODE,
                action_noise=learner.action_noise,
                callback=callback,
                learning_starts=learner.learning_starts,
                replay_buffer=learner.replay_buffer,
                log_interval=None,
            )
        finally:
            self._hand_on(learner)
        self._dump(learner, log_interval)
        goes_on = bool(result.continue_training)
        return RolloutResult(self.episode_return if goes_on else math.nan, goes_on)

    def train(self, number: int, gradient_steps: int) -> None:
        """Let a learner take gradient steps, once there is enough to learn from."""
        model = self._models[number]
        if gradient_steps > 0 and self._models[0].num_timesteps > model.learning_starts:
            model.train(batch_size=model.batch_size, gradient_steps=gradient_steps)

    def count_step(self, rewards: Any) -> None:
        """Take in a step of the learner that acts."""
        self._models[0].num_timesteps = self._acting.num_timesteps
        normalizer = self._acting.get_vec_normalize_env()
        earned = rewards if normalizer is None else normalizer.get_original_reward()
        self.episode_return += float(earned[0])

    def _hand_on(self, learner: Any) -> None:
        """Let every learner go on where one of them is in the environment."""
        for model in self._models:
            if model is not learner:
                _copy_position(learner, model)

    def _dump(self, learner: Any, log_interval: int | None) -> None:
        first = self._models[0]
        if learner is not first:
            first.ep_info_buffer.extend(learner.ep_info_buffer)
            learner.ep_info_buffer.clear()
        # All learners' episodes are counted together, as their steps are.
        if log_interval is not None and first._episode_num % log_interval == 0:
            first.dump_logs()


class _Counter(BaseCallback):
    """Comes first, so that the other callbacks find the right number of steps."""

    def __init__(self, portfolio: Portfolio) -> None:
        super().__init__()
        self._portfolio = portfolio

    def _on_step(self) -> bool:
        self._portfolio.count_step(self.locals["rewards"])
        return True


def _copy_position(source: Any, target: Any) -> None:
    """Let a learner go on in the environment where another one is."""
    for name in _HANDED_ON:
        setattr(target, name, getattr(source, name))
