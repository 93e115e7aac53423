"""ERL: a population of actors evolved beside one gradient learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, final

from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback

from structured_layers.algorithms.argument_checks import check_integer

from .hybrid import Hybrid


@final
class ERL(Hybrid):
    """Evolution-guided reinforcement learning on an off-policy model of Stable-Baselines3.

    Actors like the learner's, drawn anew, act and are selected, crossed and mutated between the
    learner's own steps. All that they see goes into the learner's replay buffer, and the learner's
    actor is copied into the population from time to time, so that either side helps the other.
    After Khadka and Tumer (arXiv 1805.07917).

    Args:
        model: TD3, SAC, DDPG, or another model with a replay buffer and an actor of continuous
            actions. Its policy may be structured; one with latent layers evolves codes.
        steps_per_generation: environment steps of the learner from one generation of the population
            to the next.
        keywords: of the population, see below.

    The keywords:

    - ``population_size``: how many actors, at least 2; 10 unless given.
    - ``num_episodes``: of each actor in each generation; 1.
    - ``sync_every``: generations from one copy of the learner into the population to the next; 1.
    - ``settings``: ``EvolutionSettings`` of selection and variation, or a mapping of its fields.
    - ``autoencoder``: a ``NetworkAutoencoder`` or its folder; the population then evolves codes of
      dense actors.
    - ``refine_steps``: with an autoencoder, steps that fit the code of each copy of the learner to
      what it does on the latest states of the replay buffer; 100. 0 takes the encoder's code.
    - ``env``: what the population acts in, an id or a callable; the learner's environment unless
      given.
    - ``env_config``: arguments of ``env``.
    - ``simulator``: as in ``make_simulator``.
    - ``seed``: of the population; the model's unless given.

    Examples:
        >>> from stable_baselines3 import TD3
        >>> erl = ERL(TD3("MlpPolicy", "Pendulum-v1"), population_size=5)  # doctest: +SKIP
        >>> erl.learn(10_000).save("erl")  # doctest: +SKIP
    """

    def __init__(self, model: Any, *, steps_per_generation: int = 1000, **keywords: Any) -> None:
        """Check the model and draw the population."""
        check_integer("steps_per_generation", steps_per_generation, 1)
        super().__init__([model], **keywords)
        self.steps_per_generation = int(steps_per_generation)
        self._next_at = 0

    @classmethod
    def of_learners(cls, models: list[Any], **arguments: Any) -> Self:
        """Make one of a list that holds the model, and what :meth:`arguments` returned."""
        return cls(*models, **arguments)

    @property
    def model(self) -> Any:
        """The learner."""
        return self.models[0]

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 4,
        tb_log_name: str = "ERL",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train as the model's own ``learn``, whose arguments these are.

        After Ctrl-C everything can be saved, and another ``learn`` goes on.

        Args:
            total_timesteps: environment steps of the learner; the population's come on top.
            callback: Stable-Baselines3's, a list of them, or a function.
            log_interval: episodes between lines of the log.
            tb_log_name: of the run in TensorBoard.
            reset_num_timesteps: whether to count from 0 again.
            progress_bar: whether to show one.
        """
        if reset_num_timesteps:
            self._next_at = 0
        with self._timed():
            self.model.learn(
                total_timesteps,
                callback=[_Evolution(self), *callback_list(callback)],
                log_interval=log_interval,
                tb_log_name=tb_log_name,
                reset_num_timesteps=reset_num_timesteps,
                progress_bar=progress_bar,
            )
        return self

    def evolve_if_due(self) -> None:
        """Run a generation if the learner has taken enough steps since the last one."""
        if self.num_timesteps < self._next_at:
            return
        generation = self.population.run_generation(self.models, self.model.replay_buffer)
        self._next_at = self.num_timesteps + self.steps_per_generation
        self._log(self.model.logger, generation)

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values."""
        return {**super().arguments(), "steps_per_generation": self.steps_per_generation}

    def state_dict(self) -> dict[str, Any]:
        """Return what is not in the learner."""
        return {**super().state_dict(), "next_at": self._next_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self._next_at = int(state["next_at"])


class _Evolution(BaseCallback):
    """Runs the generations between the rollouts of the learner, when no episode step is pending."""

    def __init__(self, erl: ERL) -> None:
        super().__init__()
        self._erl = erl

    def _on_rollout_start(self) -> None:
        self._erl.evolve_if_due()

    def _on_step(self) -> bool:
        return True


def callback_list(callback: Any) -> list[BaseCallback]:
    """Return what Stable-Baselines3 takes as callback as a list of callbacks."""
    if callback is None:
        return []
    given = callback if isinstance(callback, list) else [callback]
    return [c if isinstance(c, BaseCallback) else ConvertCallback(c) for c in given]
