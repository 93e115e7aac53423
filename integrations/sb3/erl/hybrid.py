"""What ERL and CERL share: learners, a population beside them, and how both are saved."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from gymnasium import Env
from numpy.typing import NDArray

from structured_layers.algorithms.erl import EvolutionSettings, Mutation
from structured_layers.algorithms.latent import NetworkAutoencoder
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.argument_values import shown
from structured_layers.integrations.evotorch.episodes import drawn_seed
from structured_layers.integrations.simulators.arguments import plain_config
from structured_layers.policy import Policy

from ..deployment import deployed_policy
from .deployed_elite import deployed_elite
from .evolved_population import EvolvedPopulation, Generation, check_fits
from .learner_actor import check_learner
from .learner_env import Environment, environment_like
from .saving import load_hybrid, save_hybrid


class Hybrid(ABC):
    """Gradient learners and a population of actors that fills their replay buffer.

    Attributes:
        models: the learners of Stable-Baselines3.
        population: the actors.
        seconds: of training so far, the population's among them.
    """

    def __init__(
        self,
        models: Sequence[Any],
        *,
        population_size: int = 10,
        num_episodes: int = 1,
        sync_every: int = 1,
        settings: EvolutionSettings | Mapping[str, Any] | None = None,
        autoencoder: Any = None,
        refine_steps: int = 100,
        env: str | Callable[..., Env[Any, Any]] | None = None,
        env_config: Mapping[str, Any] | None = None,
        simulator: str = "auto",
        seed: int | None = None,
    ) -> None:
        """Check the learners and draw the population."""
        for model in models:
            check_learner(model)
        self.models = list(models)
        environment = _environment(models[0], env, env_config)
        check_fits(environment, models[0], simulator)
        chosen = drawn_seed() if models[0].seed is None else models[0].seed
        self.population = EvolvedPopulation(
            models[0],
            size=population_size,
            environment=environment,
            simulator=simulator,
            num_episodes=num_episodes,
            sync_every=sync_every,
            settings=_settings(settings),
            autoencoder=_coder(autoencoder),
            refine_steps=refine_steps,
            seed=chosen if seed is None else seed,
        )
        self.seconds = 0.0
        self._began: float | None = None

    @classmethod
    @abstractmethod
    def of_learners(cls, models: list[Any], **arguments: Any) -> Self:
        """Make one of learners and what :meth:`arguments` returned."""

    @abstractmethod
    def learn(self, total_timesteps: int, callback: Any = None) -> Self:
        """Train for a number of environment steps of the learners."""

    @property
    def num_timesteps(self) -> int:
        """Environment steps of the learners; those of the population come on top."""
        return int(self.models[0].num_timesteps)

    @property
    def evolution_share(self) -> float:
        """Share of the training's time that the population took, 0 before any training."""
        running = 0.0 if self._began is None else time.perf_counter() - self._began
        total = self.seconds + running
        return self.population.seconds / total if total > 0 else 0.0

    def predict(self, observation: Any, *args: Any, **keywords: Any) -> tuple[NDArray[Any], Any]:
        """Return the action of the first learner, with Stable-Baselines3's arguments."""
        action, state = self.models[0].predict(observation, *args, **keywords)
        return action, state

    def learner_policy(self, number: int = 0) -> Policy:
        """Return a learner's deterministic policy, as ``deployed_policy`` does."""
        return deployed_policy(self.models[number])

    def elite_policy(self) -> Policy:
        """Return the best actor of the last generation, as one that decides with NumPy only.

        It was best in a few episodes of that generation only: evaluate it again before you report
        a return.

        Raises:
            StructuredLayersError: there was no generation yet.
        """
        if self.population.elite is None:
            raise StructuredLayersError(
                "the population has not been evaluated yet; call learn first"
            )
        network = self.population.network_of(self.models[0])
        return deployed_elite(self.models[0], network, self.population.elite)

    def save(self, path: str | Path, *, replay_buffer: bool = False) -> None:
        """Write a folder, whole or not at all.

        The learners are Stable-Baselines3's zip files, the population is safetensors and JSON. As
        with Stable-Baselines3, a VecNormalize is saved by ``env.save``.

        Args:
            path: of the folder; what is there is replaced if it is one of these.
            replay_buffer: whether to keep the transitions, in Stable-Baselines3's own format.
        """
        save_hybrid(self, Path(path), replay_buffer=replay_buffer)

    @classmethod
    def load(
        cls,
        path: str | Path,
        env: Any,
        *,
        replay_buffer: bool = False,
        population_env: Callable[..., Env[Any, Any]] | None = None,
        algorithm: Any = None,
        device: str = "auto",
    ) -> Self:
        """Read what :meth:`save` wrote, to go on with ``learn(…, reset_num_timesteps=False)``.

        Args:
            path: of the folder.
            env: the environment of the learners, with its VecNormalize if it had one, or its id.
            replay_buffer: whether to read the transitions. That file is a pickle: only from whom
                you trust, as all of Stable-Baselines3's.
            population_env: the callable that was given as ``env``, which no file holds, with the
                arguments that ``env_config`` had; needed if there was one.
            algorithm: the class of the learners, if it is none of Stable-Baselines3's.
            device: of the learners.

        Raises:
            CheckpointError: missing, cut off, changed, or not ours.
            StructuredLayersError: an environment of other observations or actions.
        """
        loaded: Self = load_hybrid(
            cls, Path(path), env, population_env, algorithm, device, with_buffer=replay_buffer
        )
        return loaded

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain JSON values, as far as they are."""
        population = self.population
        env, env_config = population.environment
        named = {"env": env, "env_config": env_config} if isinstance(env, str) else {}
        return {
            "population_size": population.size,
            "num_episodes": population.num_episodes,
            "sync_every": population.sync_every,
            "refine_steps": population.refine_steps,
            "settings": dataclasses.asdict(population.settings),
            "simulator": population.simulator,
            "seed": population.seed,
            **named,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what is not in the learners."""
        return {"population": self.population.state_dict(), "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.population.load_state_dict(state["population"])
        self.seconds = float(state["seconds"])

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the time of the block, and free the population's simulator at its end."""
        self._began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - self._began
            self._began = None
            self.population.close()

    def _log(self, logger: Any, generation: Generation) -> None:
        returns = generation.returns.numpy()
        sound = returns[np.isfinite(returns)]
        logger.record("erl/generation", self.population.generation)
        logger.record("erl/population_env_steps", self.population.env_steps)
        logger.record("erl/population_return_max", float(sound.max()))
        logger.record("erl/population_return_mean", float(sound.mean()))
        logger.record("erl/evolution_share", self.evolution_share)
        if generation.learner_rows:
            copies = returns[list(generation.learner_rows)]
            logger.record("erl/learner_copy_return", float(np.nanmax(copies, initial=-np.inf)))
            logger.record("erl/learner_copies_kept", generation.num_learners_kept)


def _settings(given: EvolutionSettings | Mapping[str, Any] | None) -> EvolutionSettings:
    if given is None:
        return EvolutionSettings()
    if isinstance(given, EvolutionSettings):
        return given
    try:
        values = dict(given)
        if isinstance(mutation := values.get("mutation"), Mapping):
            values["mutation"] = Mutation(**mutation)
        return EvolutionSettings(**values)
    except TypeError as error:
        raise StructuredLayersError(
            f"settings must be EvolutionSettings or a mapping of its fields: {error}"
        ) from error


def _environment(
    model: Any,
    env: str | Callable[..., Env[Any, Any]] | None,
    env_config: Mapping[str, Any] | None,
) -> Environment:
    """Return what was named, or the learner's own environment."""
    if env is not None:
        return Environment(env, plain_config(env, env_config))
    if env_config:
        raise StructuredLayersError(
            "env_config is of the environment that env= names, and none is named; name one, or "
            "leave env_config to take the learner's environment as it is"
        )
    return environment_like(model)


def _coder(given: Any) -> NetworkAutoencoder | None:
    if given is None or isinstance(given, NetworkAutoencoder):
        return given
    if isinstance(given, (str, Path)):
        return NetworkAutoencoder.load(given)
    raise StructuredLayersError(
        f"autoencoder must be a NetworkAutoencoder or the folder of one, got {shown(given)}"
    )
