"""Episodes of many candidates in lock-step: the inner loop of every search."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from structured_layers.algorithms.search_spaces import SearchSpace
from structured_layers.population import PopulationPolicy

from ..simulators import Simulator
from .perturbed_rows import PerturbedRows
from .spaces import actions_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rollouts:
    """What n episodes (of one slot each) or n candidates (summed over theirs) brought.

    Attributes:
        rewards: (n,) sums of the environment's rewards without the bonus for being alive.
        alive_bonus: (n,) sums of that bonus.
        steps: (n,) environment steps.
        failed: (n,) whether the environment raised or hung, or returned something that is not
            finite or too large.
        warned: (n,) whether an episode ended early because its physics became unstable.
        observation_sum: (n, obs) sums of the observations that were acted on.
        observation_sum_of_squares: (n, obs) sums of their squares.
        error: what the last failing environment said.
    """

    rewards: Floats
    alive_bonus: Floats
    steps: NDArray[np.int64]
    failed: NDArray[np.bool_]
    warned: NDArray[np.bool_]
    observation_sum: Floats
    observation_sum_of_squares: Floats
    error: str | None = None

    @staticmethod
    def empty(n: int, observation_size: int) -> Rollouts:
        """Return n rows of zeros."""
        return Rollouts(
            rewards=np.zeros(n),
            alive_bonus=np.zeros(n),
            steps=np.zeros(n, dtype=np.int64),
            failed=np.zeros(n, dtype=bool),
            warned=np.zeros(n, dtype=bool),
            observation_sum=np.zeros((n, observation_size)),
            observation_sum_of_squares=np.zeros((n, observation_size)),
        )

    @staticmethod
    def lost(observation_size: int, reason: str) -> Rollouts:
        """Return the row of one candidate whose process had to be ended."""
        row = Rollouts.empty(1, observation_size)
        return replace(row, failed=np.ones(1, dtype=bool), error=reason)

    @staticmethod
    def concatenate(parts: Sequence[Rollouts]) -> Rollouts:
        """Return the rows of all parts, in order, with the last error."""
        names = (*_SUMMED, *_FLAGS)
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        errors = [part.error for part in parts if part.error is not None]
        return Rollouts(**columns, error=errors[-1] if errors else None)

    def without_observations(self) -> Rollouts:
        """Return the rows with empty observation sums, which only a normaliser needs."""
        nothing = np.zeros((len(self.rewards), 0))
        return replace(self, observation_sum=nothing, observation_sum_of_squares=nothing)

    def fail_beyond(self, dtype: torch.dtype) -> Rollouts:
        """Return the rows, those failed whose return is too large for ``dtype``."""
        returns = torch.from_numpy(np.stack([self.rewards, self.rewards + self.alive_bonus]))
        too_large = ~returns.to(dtype).isfinite().all(dim=0).numpy() & ~self.failed
        error = f"a return is too large for {dtype}" if too_large.any() else self.error
        return replace(self, failed=self.failed | too_large, error=error)


@dataclass(frozen=True)
class Normalization:
    """The frozen mean and standard deviation, (obs,) each, that one generation sees."""

    mean: Floats
    std: Floats


@dataclass(frozen=True)
class Candidates:
    """Some candidates of a generation with all that their evaluation needs.

    Attributes:
        weights: (n, d), or what they follow from.
        decisions: (n, K) of the search space, or None for the network's own structure.
        seeds: n lists with one seed per episode.
        normalization: None feeds the observations as they are.
    """

    weights: Tensor | PerturbedRows
    decisions: Tensor | None
    seeds: list[list[int]]
    normalization: Normalization | None

    def __len__(self) -> int:
        """Return n."""
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Candidates:
        """Return the candidates of a slice; copies, so that a chunk carries only its own rows."""
        decisions = None if self.decisions is None else self.decisions[rows].clone()
        weights = self.weights[rows]
        if isinstance(weights, Tensor):
            weights = weights.clone()
        return Candidates(weights, decisions, self.seeds[rows], self.normalization)

    def policies(self, network: nn.Module, search_space: SearchSpace | None) -> PopulationPolicy:
        """Return the candidates as policies of ``network``, their decisions decoded."""
        weights = self.weights if isinstance(self.weights, Tensor) else self.weights.build()
        if search_space is None or self.decisions is None:
            return PopulationPolicy(network, weights)
        return PopulationPolicy(network, weights, search_space.decode(self.decisions))


def rollout(
    policies: PopulationPolicy,
    simulator: Simulator,
    seeds: list[list[int]],
    *,
    episode_length: int,
    normalization: Normalization | None = None,
) -> Rollouts:
    """Run the episodes of every candidate and return one row per candidate.

    Episodes wait in a queue; a slot that finishes takes the next one, and the batch shrinks when
    none is left. A candidate's row has the same bits whatever the capacity and the other candidates
    are.

    Args:
        policies: n candidates.
        simulator: its capacity bounds how many episodes run at once.
        seeds: n lists, one seed per episode.
        episode_length: steps after which an episode is cut.
        normalization: None feeds the observations as they are.
    """
    episodes = [(c, s) for c, candidate_seeds in enumerate(seeds) for s in candidate_seeds]
    table = _Episodes(policies, simulator, episodes, episode_length, normalization)
    while table.running:
        table.step()
    error = table.error or simulator.last_error
    return _per_candidate(table.results, [c for c, _ in episodes], len(seeds), error)


class _Episodes:
    """The running episodes as arrays with a row each, and the queue of those that wait."""

    def __init__(
        self,
        policies: PopulationPolicy,
        simulator: Simulator,
        episodes: list[tuple[int, int]],
        episode_length: int,
        normalization: Normalization | None,
    ) -> None:
        self._policies, self._simulator = policies, simulator
        self._normalization = normalization
        self._to_action = actions_of(simulator.action_space)
        self._limit = episode_length
        self._candidates = [candidate for candidate, _ in episodes]
        self._seeds = [seed for _, seed in episodes]
        self.results = Rollouts.empty(len(episodes), simulator.observation_size)
        self.error: str | None = None
        first = min(simulator.capacity, len(episodes))
        self._waiting = deque(range(first, len(episodes)))
        self._slots = np.arange(first)
        self._episode = np.arange(first)  # which episode a row runs
        self._running = policies.take([self._candidates[e] for e in range(first)])
        self._sums = Rollouts.empty(first, simulator.observation_size)
        self._observations = np.empty((first, simulator.observation_size))
        self._start(list(range(first)))

    @property
    def running(self) -> bool:
        """Whether an episode is left."""
        return len(self._slots) > 0

    def step(self) -> None:
        """Take one step in every running episode and replace those that finished."""
        sums, observations = self._sums, self._observations
        np.add(sums.observation_sum, observations, out=sums.observation_sum)
        squares = sums.observation_sum_of_squares
        np.add(squares, observations * observations, out=squares)
        if self._normalization is not None:
            observations = (observations - self._normalization.mean) / self._normalization.std
        actions = self._to_action(self._running.act(observations))
        result = self._simulator.step(self._slots, actions)
        self._observations = result.observations
        np.add(sums.rewards, result.rewards - result.alive_bonus, out=sums.rewards)
        np.add(sums.alive_bonus, result.alive_bonus, out=sums.alive_bonus)
        np.add(sums.steps, 1, out=sums.steps)
        np.logical_or(sums.warned, result.warned, out=sums.warned)
        done = result.terminated | result.truncated | (sums.steps >= self._limit)
        if not np.vdot(self._observations, self._observations) <= _LARGEST**2:
            unusable = ~(done | _usable(self._observations))
            self._fail(np.flatnonzero(unusable))
            done |= unusable
        if done.any():
            self._start(self._replace(np.flatnonzero(done)))

    def _start(self, rows: list[int]) -> None:
        """Reset the slots of the given rows; an environment that cannot even reset has failed."""
        while rows:
            seeds = [self._seeds[self._episode[row]] for row in rows]
            self._observations[rows] = self._simulator.reset(self._slots[rows], seeds)
            broken = np.array(rows)[~_usable(self._observations[rows])]
            self._fail(broken)
            rows = self._replace(broken)

    def _fail(self, rows: NDArray[np.intp]) -> None:
        """Let the episodes of the given rows fail, whose observations cannot be used."""
        self._sums.rewards[rows] = np.nan
        if np.isfinite(self._observations[rows]).all(axis=1).any():  # else the simulator said why
            self.error = "an observation is too large for torch.float32"

    def _replace(self, finished: NDArray[np.intp]) -> list[int]:
        """Store finished episodes, drop their rows or give them to waiting episodes.

        Returns:
            The rows whose new episode has to be started.
        """
        self._store(finished)
        refilled = finished[: len(self._waiting)]
        for row in refilled:
            self._episode[row] = self._waiting.popleft()
            self._running.put(row, self._policies, self._candidates[self._episode[row]])
        dropped = finished[len(refilled) :]
        if len(dropped):
            # rows are in order, so the refilled ones lie before the dropped and stay where they are
            self._keep(np.delete(np.arange(len(self._slots)), dropped))
        return [int(row) for row in refilled]

    def _store(self, rows: NDArray[np.intp]) -> None:
        episodes, sums, results = self._episode[rows], self._sums, self.results
        results.failed[episodes] = ~np.isfinite(sums.rewards[rows])
        for name in (*_SUMMED, "warned"):
            getattr(results, name)[episodes] = getattr(sums, name)[rows]
            getattr(sums, name)[rows] = 0

    def _keep(self, rows: NDArray[np.intp]) -> None:
        self._slots, self._episode = self._slots[rows], self._episode[rows]
        self._observations = self._observations[rows]
        self._running = self._running.take(rows)
        kept = {name: getattr(self._sums, name)[rows] for name in (*_SUMMED, *_FLAGS)}
        self._sums = Rollouts(**kept)


_SUMMED = ("rewards", "alive_bonus", "steps", "observation_sum", "observation_sum_of_squares")
_FLAGS = ("failed", "warned")
_LARGEST = float(np.finfo(np.float32).max)


def _usable(observations: Floats) -> NDArray[np.bool_]:
    """Return which rows a network can take, which computes in float32.

    Their squares have sums that float64 can hold, so that no row spoils the normaliser.
    """
    usable: NDArray[np.bool_] = np.abs(observations).max(axis=1) <= _LARGEST
    return usable


def _per_candidate(
    episodes: Rollouts, candidates: list[int], n: int, error: str | None
) -> Rollouts:
    """Sum the episodes of each candidate in their order."""
    if candidates == list(range(n)):
        return Rollouts(**{**vars(episodes), "error": error})
    total = Rollouts.empty(n, episodes.observation_sum.shape[1])
    for name in (*_SUMMED, *_FLAGS):
        np.add.at(getattr(total, name), candidates, getattr(episodes, name))
    return Rollouts(**{**vars(total), "error": error})
