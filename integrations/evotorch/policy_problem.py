"""The EvoTorch problem whose solutions are policies and whose fitness is their return."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from evotorch import SolutionBatch
from gymnasium import Env
from torch import Tensor, nn

from structured_layers.algorithms.offspring import Described
from structured_layers.algorithms.search_spaces import SearchSpace
from structured_layers.policy import Policy
from structured_layers.specs import NetworkSpec

from ..simulators import Simulator, make_simulator, warn_without_native_task
from ..simulators.arguments import plain_config
from .actors import SHORT_GENERATION, chunk_slices, map_chunks
from .crewed_problem import CrewedProblem
from .episodes import check_episodes, cut_length, drawn_seed, episode_seed
from .fitness import check_failures, fitness_and_data
from .normalizer import ObservationNormalizer, Statistics, make_normalizer
from .perturbed_rows import PerturbedRows
from .ray_session import NumActors
from .rollouts import Candidates, Normalization, Rollouts, rollout
from .solutions import check_network, draw_solutions, network_of
from .spaces import actions_of
from .time_limits import ChunkTimeout


class PolicyProblem(CrewedProblem):
    """Maximise the return of a policy network in an environment, many candidates in lock-step.

    A solution is the network's trained values as ``parameters_to_vector`` orders them, followed,
    with a ``search_space``, by its K decisions. The evaluation data of a solution are three further
    numbers: the return with the alive bonus, the environment steps, and whether it failed.

    Every candidate's episodes are seeded by (seed, generation, candidate, episode) and observations
    are normalised by statistics frozen during a generation, so that results depend neither on the
    number of actors nor on a restart. The statistics are of what perturbed candidates observe: the
    evaluations of the centre that ``ES`` and ``ESENAS`` add do not enter them. Of other searches
    every candidate counts.

    Args:
        env: a Gymnasium id or a callable that makes an environment.
        env_config: arguments of the environment's constructor, or of the callable.
        network: the policy, see :class:`~structured_layers.PopulationPolicy` for what it may hold.
        search_space: None keeps the network's own structure.
        simulator: a name that :func:`~..simulators.make_simulator` knows.
        observation_normalization: whether they are normalised, or fixed (mean, std), (obs,) each.
        alive_bonus: whether the fitness contains the reward for being alive.
        num_episodes: per candidate; the fitness is their mean.
        episode_length: steps after which an episode is cut; None is 1000, or the environment's own
            limit if that is shorter or ``env_config`` sets it as ``max_episode_steps``.
        common_seeds: rows 2i and 2i + 1 of a batch, the two signs of a pair, get the same episodes.
        seed: of all episodes; None draws one.
        num_actors: Ray actors, each with its own simulator; below 2, this process evaluates.
            ``"auto"`` is one for each core.
        actor_config: Ray's options of the actors.
        ray_address: of an existing cluster, ``"host:port"``; None is RAY_ADDRESS, or Ray here.
        chunk_timeout: seconds that an actor may take for a chunk of candidates before it is ended
            and they run singly; ``"auto"`` allows a minute and 0.05 s for each environment step,
            None any time. Without actors nothing is cut.
        strict: whether a failed candidate, a late or dead actor, or a warning of the physics stops
            the search.
        capacity: episodes that one simulator runs at once, at most 256; the data of more does not
            fit into a processor's cache.

    Raises:
        StructuredLayersError: an environment, a network or numbers that do not fit.
        EvaluationError: from ``evaluate``, when over 40 % of the candidates failed, or, if strict,
            anything did.

    Examples:
        >>> from structured_layers import ToeplitzLinear, mlp
        >>> problem = PolicyProblem("Swimmer-v5", mlp(8, [16], 2, layer=ToeplitzLinear), seed=0)
        >>> problem.solution_length  # 23 + 17 weights, 16 + 2 biases
        58
    """

    def __init__(
        self,
        env: str | Callable[..., Env[Any, Any]],
        network: nn.Module,
        *,
        env_config: Mapping[str, Any] | None = None,
        search_space: SearchSpace | None = None,
        simulator: str = "auto",
        observation_normalization: bool | Statistics = True,
        alive_bonus: bool = False,
        num_episodes: int = 1,
        episode_length: int | None = None,
        common_seeds: bool = False,
        seed: int | None = None,
        num_actors: NumActors = 0,
        actor_config: Mapping[str, Any] | None = None,
        ray_address: str | None = None,
        chunk_timeout: ChunkTimeout = "auto",
        strict: bool = False,
        capacity: int = 40,
    ) -> None:
        """Make one simulator, which tells the spaces, and check that the network fits it."""
        check_episodes(num_episodes, seed)
        self.num_parameters = sum(p.numel() for p in network.parameters())
        super().__init__(
            self.num_parameters + (0 if search_space is None else search_space.num_decisions),
            eval_data_length=3,
            num_actors=num_actors,
            actor_config=actor_config,
            ray_address=ray_address,
            chunk_timeout=chunk_timeout,
            strict=strict,
        )
        self.env, self.network, self.search_space = env, network, search_space
        warn_without_native_task(env, simulator)  # here and not in every actor
        self._set_simulator(simulator, capacity, env_config)
        self._set_episodes(episode_length, num_episodes, seed, common_seeds=common_seeds)
        self.alive_bonus = alive_bonus
        self.normalizer = make_normalizer(observation_normalization, self.observation_size)
        self._set_counts()

    def _set_simulator(
        self, kind: str, capacity: int, env_config: Mapping[str, Any] | None
    ) -> None:
        """Make the simulator, read its spaces and check that the network serves them."""
        self.env_config = plain_config(self.env, env_config)
        self._simulator_kind, self._capacity = kind, capacity
        self._simulator: Simulator | None = None
        self.observation_size = self.simulator.observation_size
        self.action_space = self.simulator.action_space
        check_network(self.network, self.observation_size, self.action_space)

    def _set_episodes(
        self, length: int | None, num_episodes: int, seed: int | None, *, common_seeds: bool
    ) -> None:
        self.episode_length = cut_length(length, self.simulator.time_limit, self.env_config)
        self.num_episodes, self.common_seeds = num_episodes, common_seeds
        self.run_seed = drawn_seed() if seed is None else seed

    def _set_counts(self) -> None:
        """Start counting, and report the counts to the search."""
        self.generation = 0
        self.env_steps = 0
        self.num_failed = self.num_warned = self.num_replaced = 0
        self._long_chunks = False
        self._next: tuple[Described | None, int | None] | None = None
        self.after_eval_hook.append(self._report)

    @property
    def simulator(self) -> Simulator:
        """This process's simulator, made at its first use."""
        if self._simulator is None:
            self._simulator = make_simulator(
                self.env,
                simulator=self._simulator_kind,
                capacity=self._capacity,
                env_config=self.env_config,
            )
        return self._simulator

    @property
    def _nonserialized_attribs(self) -> list[str]:
        return ["_simulator", "_next", "crew"]

    def prepare(self) -> int:
        """Make the simulator, as an actor does before it is sent work; return the process id."""
        self.simulator  # noqa: B018
        return os.getpid()

    def describe_next(
        self, perturbation: Described | None, *, num_perturbed: int | None = None
    ) -> None:
        """Say what the next batch holds.

        Args:
            perturbation: its first candidates, all others being the centre, so that actors make
                them anew; None sends the weights.
            num_perturbed: how many of the first rows feed the statistics of observations, the
                others being the centre; None is all rows.
        """
        self._next = perturbation, num_perturbed

    def _evaluate_all(self, batch: SolutionBatch) -> None:
        """Evaluate a whole generation, since only here every candidate's number is known."""
        perturbation, num_perturbed = self._next or (None, None)
        self._next = None
        if len(self.before_eval_hook):
            perturbation = None  # a hook may have changed the batch that was described
        candidates = self._candidates(batch.values, perturbation)
        slices = chunk_slices(len(candidates), self.num_actors, long=self._long_chunks)
        start = time.perf_counter()
        chunks = [candidates[rows] for rows in slices]
        self.num_replaced = 0
        rollouts = Rollouts.concatenate(map_chunks(self, chunks)).fail_beyond(torch.float32)
        self.generation += 1
        self.env_steps += int(rollouts.steps.sum())
        short = time.perf_counter() - start < SHORT_GENERATION
        self._long_chunks = short or bool(np.ptp(rollouts.steps))
        self.num_failed = int(rollouts.failed.sum())
        self.num_warned = int(rollouts.warned.sum())
        check_failures(rollouts, self.generation, strict=self.strict)
        if self.normalizer is not None:
            self.normalizer.merge(rollouts, num_perturbed)
        evals = fitness_and_data(
            rollouts, num_episodes=self.num_episodes, alive_bonus=self.alive_bonus
        )
        batch.set_evals(*evals)

    def _candidates(self, values: Tensor, perturbation: Described | None = None) -> Candidates:
        """Split solutions into weights and decisions and seed their episodes."""
        weights: Tensor | PerturbedRows = values[:, : self.num_parameters]
        if perturbation is not None and self.actors is not None:
            weights = PerturbedRows.share(perturbation, len(values))
        decisions = None
        if self.search_space is not None:
            decisions = values[:, self.num_parameters :].to(torch.int64)
            self.search_space.check(decisions)
        seeds = [self._episode_seeds(row) for row in range(len(values))]
        normalizer = self.normalizer
        frozen = None if normalizer is None else Normalization(normalizer.mean, normalizer.std)
        return Candidates(weights, decisions, seeds, frozen)

    def _episode_seeds(self, candidate: int) -> list[int]:
        number = candidate // 2 if self.common_seeds else candidate
        keys = [(self.generation, number, episode) for episode in range(self.num_episodes)]
        return [episode_seed(self.run_seed, key) for key in keys]

    def evaluate_candidates(self, candidates: Candidates) -> Rollouts:
        """Run the episodes of some candidates in this process; actors call it."""
        rollouts = rollout(
            candidates.policies(self.network, self.search_space),
            self.simulator,
            candidates.seeds,
            episode_length=self.episode_length,
            normalization=candidates.normalization,
        )
        return rollouts if self.normalizer is not None else rollouts.without_observations()

    def failed(self, batch: SolutionBatch) -> Tensor:
        """Return which solutions of an evaluated batch failed, (n,)."""
        failed: Tensor = batch.evals[:, 3].as_subclass(Tensor) > 0
        return failed

    def _report(self, batch: SolutionBatch) -> dict[str, Any]:
        names = ("env_steps", "num_failed", "num_warned", "num_replaced")
        return {name: getattr(self, name) for name in names}

    def _fill(self, values: Tensor) -> None:
        values[:] = draw_solutions(self.network, self.search_space, len(values), self.generator)

    def to_policy(
        self,
        solution: Tensor,
        *,
        normalizer: ObservationNormalizer | None = None,
        spec: NetworkSpec | None = None,
    ) -> Policy:
        """Return the policy of a solution.

        Args:
            solution: (d,) weights, followed by K decisions if the problem has a search space.
            normalizer: None is the problem's own, as it is now.
            spec: how the network is described in the policy's files; None if it cannot be.
        """
        normalizer = normalizer or self.normalizer
        return Policy(
            network_of(self.network, self.search_space, solution),
            actions_of(self.action_space),
            observation_mean=None if normalizer is None else normalizer.mean,
            observation_std=None if normalizer is None else normalizer.std,
            observation_shape=self.simulator.observation_shape,
            spec=spec,
            env=self.env if isinstance(self.env, str) else None,
            env_config=self.env_config if isinstance(self.env, str) else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what later evaluations depend on."""
        state: dict[str, Any] = {
            "run_seed": self.run_seed,
            "generation": self.generation,
            "env_steps": self.env_steps,
        }
        if self.normalizer is not None:
            state["normalizer"] = self.normalizer.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.run_seed = int(state["run_seed"])
        self.generation = int(state["generation"])
        self.env_steps = int(state["env_steps"])
        if self.normalizer is not None:
            self.normalizer.load_state_dict(state["normalizer"])
