"""The population of ERL and CERL: its actors, their episodes, and the step to the next ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from structured_layers.algorithms.argument_checks import check_integer
from structured_layers.algorithms.erl import EvolutionSettings, layout_of, next_generation
from structured_layers.algorithms.saved_states import check_kind, take_up_whole
from structured_layers.errors import StructuredLayersError
from structured_layers.integrations.evotorch.episodes import cut_length, episode_seed
from structured_layers.integrations.evotorch.rollouts import Rollouts, rollout
from structured_layers.integrations.simulators import make_simulator
from structured_layers.interruptions import interrupts_held
from structured_layers.population import PopulationPolicy

from .first_actors import first_actors
from .learner_actor import actor_network, clipped, normalizer_of
from .learner_env import Environment
from .learner_states import recent_states
from .recording import RecordingSimulator, Transitions
from .replay import add_transitions

_SPAWN = 2  # episodes of searches have keys of three numbers, those of evaluations of two
SQUASHED_BEYOND = 2.0
"""Outputs before the tanh beyond which the action hardly changes."""
_COUNTERS = ("generation", "env_steps", "seconds")


class Generation(NamedTuple):
    """What a generation brought.

    Attributes:
        returns: (P,) mean returns of the actors, the alive bonus included; NaN for one that failed.
        steps: environment steps.
        learner_rows: rows that were copies of learners.
        num_learners_kept: how many of those are elites or parents of the next generation.
        seconds: that it took.
    """

    returns: Tensor
    steps: int
    learner_rows: tuple[int, ...]
    num_learners_kept: int
    seconds: float


class EvolvedPopulation:
    """P actors in the form of a learner's, or as latent codes of it.

    Args:
        model: the learner whose actor they resemble.
        size: P, at least 2.
        environment: what they act in.
        simulator: as in ``make_simulator``.
        num_episodes: of each actor in a generation.
        sync_every: generations from one copy of the learners into the population to the next.
        settings: of selection and variation.
        autoencoder: a ``NetworkAutoencoder`` that makes codes of actors; None evolves weights.
        refine_steps: of the code of each copy of a learner, on the latest states of the buffer.
        seed: of episodes and of all draws.

    Attributes:
        weights: (P, d), a row for each actor.
        elite: (d,) the best actor of the last generation, None before the first.
    """

    def __init__(
        self,
        model: Any,
        *,
        size: int,
        environment: Environment,
        simulator: str,
        num_episodes: int,
        sync_every: int,
        settings: EvolutionSettings,
        autoencoder: Any,
        refine_steps: int,
        seed: int,
    ) -> None:
        """Draw the first actors."""
        for name, value, least in (
            ("population_size", size, 2), ("num_episodes", num_episodes, 1),
            ("sync_every", sync_every, 1), ("refine_steps", refine_steps, 0), ("seed", seed, 0),
        ):  # fmt: skip
            check_integer(name, value, least)
        self.environment, self.simulator = environment, simulator
        self.settings, self.autoencoder = settings, autoencoder
        # Python's integers, which the saved arguments can hold; NumPy's were given, perhaps.
        self.num_episodes, self.sync_every = int(num_episodes), int(sync_every)
        self.refine_steps, self.seed = int(refine_steps), int(seed)
        self.generation, self.env_steps, self.seconds = 0, 0, 0.0
        self.elite: Tensor | None = None
        self._learner_rows: tuple[int, ...] = ()
        self._recording: RecordingSimulator | None = None
        self._generator = torch.Generator().manual_seed(episode_seed(self.seed, (_SPAWN,)))
        network = self.network_of(model)
        self.weights = first_actors(network, autoencoder, int(size), self._generator)
        PopulationPolicy(network, self.weights)  # names what it cannot run

    @property
    def size(self) -> int:
        """How many actors there are, P."""
        return len(self.weights)

    def network_of(self, model: Any) -> nn.Module:
        """Return a copy of a learner's actor, encoded if the population evolves codes."""
        network = actor_network(model)
        return network if self.autoencoder is None else self.autoencoder.encode(network)

    def run_generation(self, models: Sequence[Any], buffer: Any) -> Generation:
        """Let every actor act, fill the buffer, and make the next generation.

        Nothing has changed if this is interrupted, or if an error comes out of it.

        Args:
            models: learners that are copied into the population when it is time to.
            buffer: SB3's replay buffer that all transitions go to.
        """
        began = time.perf_counter()
        episodes, transitions = self._evaluate(models[0])
        returns = mean_returns(episodes, self.num_episodes)
        with interrupts_held():
            made = self._next(returns, models, buffer)
            add_transitions(buffer, transitions)  # the last that can fail
            steps = int(episodes.steps.sum())
            rows, self._learner_rows = self._learner_rows, made.learner_rows
            self.weights, self.elite = made.weights, made.weights[0].clone()
            self._generator.set_state(made.generator_state)
            seconds = time.perf_counter() - began
            self.generation, self.env_steps = self.generation + 1, self.env_steps + steps
            self.seconds += seconds
        return Generation(returns, steps, rows, made.num_kept, seconds)

    def _evaluate(self, model: Any) -> tuple[Rollouts, Transitions]:
        normalizer = normalizer_of(model)
        policies = PopulationPolicy(clipped(self.network_of(model), normalizer), self.weights)
        keys = [(_SPAWN, self.generation, row) for row in range(self.size)]
        seeds = [
            [episode_seed(self.seed, (*key, episode)) for episode in range(self.num_episodes)]
            for key in keys
        ]
        simulator = self._open()
        simulator.take()  # what an interrupted generation left
        length = cut_length(None, simulator.time_limit, self.environment.env_config)
        episodes = rollout(
            policies, simulator, seeds, episode_length=length, normalization=normalizer.statistics
        )
        return episodes, simulator.take()

    def _next(self, returns: Tensor, models: Sequence[Any], buffer: Any) -> _Next:
        """Return the next generation, its last actors copies of learners if it is time."""
        layout = layout_of(self.network_of(models[0]))
        generator = torch.Generator()
        generator.set_state(self._generator.get_state())
        made = next_generation(self.weights, returns, layout, self.settings, generator)
        weights, rows = made.weights, tuple[int, ...]()
        if (self.generation + 1) % self.sync_every == 0:
            weights, rows = self._with_learners(weights, made.num_elites, models, buffer)
        kept = sum(row in made.parents.tolist() for row in self._learner_rows)
        return _Next(weights, rows, kept, generator.get_state())

    def _with_learners(
        self, weights: Tensor, num_elites: int, models: Sequence[Any], buffer: Any
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Return the rows, the last ones but no elites replaced by copies of the learners."""
        count = min(len(models), len(weights) - num_elites)
        vectors = [_vector(self._copy_of(model, buffer)) for model in models[:count]]
        rows = range(len(weights) - count, len(weights))
        return torch.cat([weights[: rows.start], torch.stack(vectors)]), tuple(rows)

    def _copy_of(self, model: Any, buffer: Any) -> nn.Module:
        """Return a learner's actor; its code is fitted to what it does on the latest states."""
        states = recent_states(model, buffer) if self.autoencoder and self.refine_steps else None
        if states is None:
            return self.network_of(model)
        copy: nn.Module = self.autoencoder.encode(
            actor_network(model),
            refine_steps=self.refine_steps,
            states=states,
            output_limit=SQUASHED_BEYOND,
        )
        return copy

    def _open(self) -> RecordingSimulator:
        if self._recording is None:
            env, env_config = self.environment
            capacity = min(64, self.size * self.num_episodes)
            self._recording = RecordingSimulator(
                make_simulator(
                    env, simulator=self.simulator, capacity=capacity, env_config=env_config
                )
            )
        return self._recording

    def close(self) -> None:
        """Free the simulator; the next generation makes a new one."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next generations follow from, but for learners and buffer."""
        state: dict[str, Any] = {name: getattr(self, name) for name in _COUNTERS}
        state |= {
            "kind": self._kind(),
            "weights": self.weights.clone(),
            "generator": self._generator.get_state(),
            "learner_rows": list(self._learner_rows),
        }
        return state if self.elite is None else {**state, "elite": self.elite.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned, whole or not at all.

        Raises:
            StructuredLayersError: it is of another population.
        """
        check_kind("population", self._kind(), state.get("kind"))
        take_up_whole("population", self._take_up, self.state_dict(), state)

    def _take_up(self, state: Mapping[str, Any]) -> None:
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.weights = state["weights"].clone()
        self.elite = state["elite"].clone() if "elite" in state else None
        self._learner_rows = tuple(int(row) for row in state["learner_rows"])
        self._generator.set_state(state["generator"])

    def _kind(self) -> dict[str, Any]:
        return {"size": self.size, "values": self.weights.shape[1], "seed": self.seed}


class _Next(NamedTuple):
    weights: Tensor
    learner_rows: tuple[int, ...]
    num_kept: int
    generator_state: Tensor


def mean_returns(episodes: Rollouts, num_episodes: int) -> Tensor:
    """Return the mean return of each actor (P,), the alive bonus included; NaN where it failed."""
    returns = torch.from_numpy(episodes.rewards + episodes.alive_bonus) / num_episodes
    returns[torch.from_numpy(episodes.failed)] = torch.nan
    return returns


def _vector(network: nn.Module) -> Tensor:
    vector: Tensor = parameters_to_vector(network.parameters()).detach().clone()
    return vector


def check_fits(environment: Environment, model: Any, simulator: str) -> None:
    """Refuse an environment whose observations or actions are not those of the learner."""
    env, env_config = environment
    with make_simulator(env, simulator=simulator, capacity=1, env_config=env_config) as made:
        found = (made.observation_size, getattr(made.action_space, "shape", None))
        bounds = made.action_space
    space = model.action_space
    needed = (model.observation_space.shape[0], space.shape)
    if found != needed or not (
        np.array_equal(bounds.low, space.low) and np.array_equal(bounds.high, space.high)  # type: ignore[attr-defined]
    ):
        raise StructuredLayersError(
            f"the population's environment {env} has {found[0]} observations and actions in "
            f"{bounds}, the learner's has {needed[0]} and {space}; give both the same"
        )
