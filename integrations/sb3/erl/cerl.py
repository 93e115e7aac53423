"""CERL: a population of actors evolved beside a portfolio of gradient learners."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import torch
from stable_baselines3.common.callbacks import CallbackList

from structured_layers.algorithms.argument_checks import check_integer, check_positive
from structured_layers.algorithms.erl import UCBAllocation
from structured_layers.integrations.evotorch.episodes import episode_seed

from .erl import callback_list
from .hybrid import Hybrid
from .learner_agreement import check_further, check_several, checked_discounts
from .portfolio import Portfolio

DISCOUNTS = (0.9, 0.99, 0.997, 0.9995)
"""Of the learners of CERL's portfolio."""


@final
class CERL(Hybrid):
    """Collaborative evolutionary reinforcement learning on models of Stable-Baselines3.

    Several learners of different discounts share one replay buffer. In each generation the
    population acts, then single episodes are given to learners by upper confidence bounds of their
    returns, and all learners take gradient steps. Their actors are copied into the population.
    After Khadka et al. (arXiv 1905.00976).

    Args:
        models: at least two off-policy models of one environment each, whose actors differ in their
            trained values only; all act in the environment of the first from now on, and the first
            owns logger and callbacks.
        steps_per_generation: environment steps of the learners, at least, in a generation; an
            episode that has begun is finished.
        gradient_steps_per_step: of every learner, for each environment step of the learners.
        exploration: weight of the bonus for learners that seldom acted.
        keywords: ``population_size``, ``num_episodes``, ``sync_every``, ``settings``,
            ``autoencoder``, ``refine_steps``, ``env``, ``env_config``, ``simulator`` and ``seed``
            as of :class:`ERL`.

    Examples:
        >>> from stable_baselines3 import TD3
        >>> cerl = CERL.portfolio(TD3, "MlpPolicy", "Hopper-v5", seed=0)  # doctest: +SKIP
        >>> cerl.learn(200_000).save("cerl")  # doctest: +SKIP
    """

    def __init__(
        self,
        models: Sequence[Any],
        *,
        steps_per_generation: int = 1000,
        gradient_steps_per_step: float = 1.0,
        exploration: float = 0.9,
        **keywords: Any,
    ) -> None:
        """Check the models, let them share environment and buffer, and draw the population."""
        check_integer("steps_per_generation", steps_per_generation, 1)
        check_positive("gradient_steps_per_step", gradient_steps_per_step)
        check_several(models)
        super().__init__(models, **keywords)
        self.steps_per_generation = int(steps_per_generation)
        self.gradient_steps_per_step = float(gradient_steps_per_step)
        seed = episode_seed(self.population.seed, (len(models),))
        self._generator = torch.Generator().manual_seed(seed)
        self.allocation = UCBAllocation(
            len(models), exploration=exploration, generator=self._generator
        )
        self._portfolio = Portfolio(self.models)
        # For each learner, the steps of all of them at which it took its gradient steps last.
        self._trained_at = [self.num_timesteps] * len(models)

    @classmethod
    def portfolio(
        cls,
        algorithm: Any,
        policy: Any,
        env: Any,
        *,
        discounts: Sequence[float] = DISCOUNTS,
        learner: Mapping[str, Any] | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> Self:
        """Make the learners and their CERL.

        Args:
            algorithm: TD3, SAC or DDPG.
            policy: its policy.
            env: its environment.
            discounts: of the learners, one each.
            learner: further arguments of the algorithm.
            seed: of the first learner and the population; each further learner has the next number.
            keywords: of the constructor.

        Raises:
            StructuredLayersError: a discount outside (0, 1], or ``learner`` names one or a seed.
        """
        check_further(learner)
        models: list[Any] = []
        for number, gamma in enumerate(checked_discounts(discounts)):
            settings = copy.deepcopy(dict(learner or {}))  # noise is not shared
            own = None if seed is None else seed + number
            shared = models[0].get_env() if models else env
            models.append(algorithm(policy, shared, gamma=gamma, seed=own, **settings))
        return cls(models, seed=seed, **keywords)

    @classmethod
    def of_learners(cls, models: list[Any], **arguments: Any) -> Self:
        """Make one of its learners, and what :meth:`arguments` returned."""
        return cls(models, **arguments)

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 4,
        tb_log_name: str = "CERL",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train until all learners together have taken that many environment steps.

        The arguments are those of Stable-Baselines3. Callbacks see the first learner as their
        model, and every step of every learner. The last generation is finished, so that some steps
        more may be taken. After Ctrl-C everything can be saved, and another ``learn`` goes on; with
        ``reset_num_timesteps=False`` it takes the gradient steps that are owed, too.
        """
        callbacks = CallbackList([self._portfolio.counter(), *callback_list(callback)])
        with self._timed():
            # Under this name progress bars look for the steps at which training ends.
            total_timesteps, made = self._portfolio.set_up(
                total_timesteps, callbacks, reset_num_timesteps, tb_log_name, progress_bar
            )
            if reset_num_timesteps:
                self._trained_at = [0] * len(self.models)
            made.on_training_start(locals(), globals())
            while self.num_timesteps < total_timesteps:
                if not self._run_generation(made, log_interval):
                    break
            made.on_training_end()
        return self

    def _run_generation(self, callback: Any, log_interval: int | None) -> bool:
        """Let population and learners act and learn; tell whether training goes on."""
        before = self.num_timesteps
        buffer = self.models[0].replay_buffer
        generation = self.population.run_generation(self.models, buffer)
        self._log(self.models[0].logger, generation)
        while self.num_timesteps < before + self.steps_per_generation:
            learner = self.allocation.draw()
            result = self._portfolio.roll_out(learner, callback, log_interval)
            self.allocation.observe(learner, result.episode_return)
            if not result.goes_on:
                return False
        self._record_allocation()
        self._train()
        return True

    def _train(self) -> None:
        """Let the learners take the gradient steps they owe, of interrupted generations too.

        One that is interrupted in the middle of its steps will take all of them again.
        """
        now = self.num_timesteps
        for number, last in enumerate(self._trained_at):
            owed = round(self.gradient_steps_per_step * (now - last))
            self._portfolio.train(number, owed)
            self._trained_at[number] = now

    def _record_allocation(self) -> None:
        logger = self.models[0].logger
        for number in range(len(self.models)):  # discounts may be equal
            logger.record(f"cerl/return_{number}", float(self.allocation.values[number]))
            logger.record(f"cerl/rollouts_{number}", int(self.allocation.counts[number]))

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {
            **super().arguments(),
            "steps_per_generation": self.steps_per_generation,
            "gradient_steps_per_step": self.gradient_steps_per_step,
            "exploration": self.allocation.exploration,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what is not in the learners."""
        state = super().state_dict()
        generator = self._generator.get_state()
        own = {"allocation": self.allocation.state_dict(), "generator": generator}
        return {**state, **own, "trained_at": list(self._trained_at)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self.allocation.load_state_dict(state["allocation"])
        self._generator.set_state(state["generator"])
        self._trained_at = [int(steps) for steps in state["trained_at"]]

    def best_learner(self) -> int:
        """Return the number of the learner whose rollouts earn most, 0 before any."""
        return int(self.allocation.values.nan_to_num(nan=-torch.inf).argmax())

    def predict(self, observation: Any, *args: Any, **keywords: Any) -> tuple[Any, Any]:
        """Return the action of the learner whose rollouts earn most."""
        action, state = self.models[self.best_learner()].predict(observation, *args, **keywords)
        return action, state
