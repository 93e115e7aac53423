"""Teach the Minitaur to trot faster with 19 numbers, the diagonals of a linear policy.

    python examples/es_minitaur.py

The policy modulates a generator of leg movements that walks by itself, 1.7 m in an episode. Its
last observation is constant, so that a weight on it is a bias; normalizing would make it zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import tyro
from evotorch.logging import StdOutLogger

from structured_layers import ToeplitzLinear, mlp, summarize
from structured_layers.algorithms import ES
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy

ENV = "structured_layers/MinitaurPMTG-v0"


@dataclass(frozen=True)
class Args:
    """Settings of the search."""

    generations: int = 12
    """Steps of the search."""
    popsize: int = 16
    """Perturbed candidates per generation, an even number."""
    stdev: float = 0.1
    """Standard deviation of the perturbations."""
    learning_rate: float = 0.1
    """Step size of Adam."""
    num_actors: int = 0
    """Processes that simulate; results do not depend on it."""
    episodes: int = 20
    """Fresh episodes of the evaluation at the end."""
    episode_length: int = 500
    """Steps after which an episode is cut."""
    seed: int = 0
    """Seed of everything."""


def main(args: Args) -> None:
    """Search from a policy of zeros, then evaluate the center of the search."""
    torch.manual_seed(args.seed)
    network = mlp(7, [], 13, layer=ToeplitzLinear, output_bias=False)
    size = summarize(network)
    print(f"{size.weights} weights for {size.dense_weights} edges")

    problem = PolicyProblem(
        ENV,
        network,
        simulator="gymnasium",
        observation_normalization=False,
        episode_length=args.episode_length,
        seed=args.seed,
        num_actors=args.num_actors,
    )
    search = ES(
        problem,
        popsize=args.popsize,
        center_init=torch.zeros(size.weights),
        stdev_init=args.stdev,
        center_learning_rate=args.learning_rate,
        seed=args.seed,
    )
    StdOutLogger(search, interval=10)
    search.run(args.generations)
    if problem.actors is not None:
        problem.kill_actors()

    policy = problem.to_policy(search.status["center"])
    returns = evaluate_policy(
        policy, num_episodes=args.episodes, episode_length=args.episode_length, seed=args.seed
    )
    print(f"return {returns.mean():.2f} ± {returns.std():.2f} over {len(returns)} fresh episodes")


if __name__ == "__main__":
    main(tyro.cli(Args))
