"""Train a Toeplitz policy for HalfCheetah-v5 with an evolution strategy.

    python examples/es_halfcheetah.py --num-actors 2

The policy has one hidden layer; each of its two weight matrices is constant along its diagonals.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import tyro
from evotorch.logging import StdOutLogger
from torch.nn.utils import parameters_to_vector

from structured_layers import ToeplitzLinear, mlp, summarize
from structured_layers.algorithms import ES
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy


@dataclass(frozen=True)
class Args:
    """Settings of the search."""

    hidden: int = 32
    """Units of the hidden layer."""
    generations: int = 100
    """Steps of the search."""
    popsize: int = 100
    """Perturbed candidates per generation, an even number."""
    stdev: float = 0.1
    """Standard deviation of the perturbations."""
    learning_rate: float = 0.02
    """Step size of Adam."""
    num_actors: int = 0
    """Processes that simulate; results do not depend on it."""
    episodes: int = 20
    """Fresh episodes of the evaluation at the end."""
    episode_length: int = 1000
    """Steps after which an episode is cut."""
    seed: int = 0
    """Seed of everything."""


def main(args: Args) -> None:
    """Search, then evaluate the center of the search over fresh episodes."""
    torch.manual_seed(args.seed)
    network = mlp(17, [args.hidden], 6, layer=ToeplitzLinear, output_bias=False)
    size = summarize(network)
    print(f"{size.weights} weights for {size.dense_weights} edges, {size.biases} biases")

    problem = PolicyProblem(
        "HalfCheetah-v5",
        network,
        episode_length=args.episode_length,
        seed=args.seed,
        num_actors=args.num_actors,
    )
    search = ES(
        problem,
        popsize=args.popsize,
        center_init=parameters_to_vector(network.parameters()),
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
    print(f"return {returns.mean():.1f} ± {returns.std():.1f} over {len(returns)} fresh episodes")


if __name__ == "__main__":
    main(tyro.cli(Args))
