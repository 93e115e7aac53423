"""Returns and visited states of many policies that share a network and a normaliser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from structured_layers.integrations.evotorch.rollouts import Normalization, rollout
from structured_layers.integrations.evotorch.spaces import actions_of
from structured_layers.integrations.simulators import make_simulator
from structured_layers.population import PopulationPolicy

Floats = NDArray[np.float64]
CAPACITY = 64


def mean_returns(
    env: str,
    network: nn.Module,
    weights: Tensor,
    normalization: Normalization,
    *,
    num_episodes: int,
    episode_length: int = 1000,
    seed: int = 0,
) -> Floats:
    """Return each policy's mean return, the alive bonus included; all run the same episodes.

    Args:
        env: id of the environment.
        network: what the weights are of.
        weights: (N, d).
        normalization: of the observations.
        num_episodes: of each policy.
        episode_length: steps after which an episode is cut.
        seed: of the episodes.
    """
    seeds = np.random.SeedSequence(seed).generate_state(num_episodes).tolist()
    with make_simulator(env, capacity=min(CAPACITY, len(weights) * num_episodes)) as simulator:
        result = rollout(
            PopulationPolicy(network, weights),
            simulator,
            [seeds] * len(weights),
            episode_length=episode_length,
            normalization=normalization,
        )
    returns: Floats = (result.rewards + result.alive_bonus) / num_episodes
    return returns


def visited_states(
    env: str,
    network: nn.Module,
    weights: Tensor,
    normalization: Normalization,
    *,
    per_policy: int,
    episode_length: int = 1000,
    seed: int = 0,
) -> Floats:
    """Return states that the policies visit, as many of each, (N · per_policy, obs).

    Every policy acts for one episode, of which states are drawn at random; one that falls before
    it has seen enough different ones gives some of them again.
    """
    generator = np.random.default_rng(seed)
    population = PopulationPolicy(network, weights)
    with make_simulator(env, capacity=CAPACITY) as simulator:
        to_action = actions_of(simulator.action_space)
        chosen = []
        for start in range(0, len(weights), CAPACITY):
            running = np.arange(start, min(start + CAPACITY, len(weights)))
            seen: dict[int, list[Floats]] = {policy: [] for policy in running}
            observations = simulator.reset(
                running - start, generator.integers(2**31, size=len(running)).tolist()
            )
            for _ in range(episode_length):
                for policy, observation in zip(running, observations, strict=True):
                    seen[policy].append(observation.copy())
                inputs = (observations - normalization.mean) / normalization.std
                actions = to_action(population.take(running).act(inputs))
                step = simulator.step(running - start, actions)
                goes_on = ~(step.terminated | step.truncated)
                running, observations = running[goes_on], step.observations[goes_on]
                if not len(running):
                    break
            for states in seen.values():
                rows = generator.choice(len(states), per_policy, replace=len(states) < per_policy)
                chosen += [states[row] for row in rows]
    return np.stack(chosen)
