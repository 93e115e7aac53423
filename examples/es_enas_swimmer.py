"""Search the coloring of a linear policy for Swimmer-v5 together with its weights.

    python examples/es_enas_swimmer.py --num-actors 2

A controller proposes which edges share a weight, an evolution strategy trains the shared weights.
The policy is saved and loaded again as a program without any training code would do it. (The
command line does the same and also writes checkpoints and reports.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from evotorch.logging import StdOutLogger
from torch.nn.utils import parameters_to_vector

from structured_layers import load_policy
from structured_layers.algorithms import ESENAS, RegularizedEvolution, SearchSpace
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy
from structured_layers.specs import NetworkSpec


@dataclass(frozen=True)
class Args:
    """Settings of the search."""

    num_colors: int = 8
    """Weights that all edges share."""
    generations: int = 40
    """Steps of the search."""
    popsize: int = 100
    """Perturbed candidates per generation, an even number."""
    center_evaluations: int = 10
    """Evaluations of the center per generation, on top of the population."""
    stdev: float = 0.1
    """Standard deviation of the perturbations."""
    learning_rate: float = 0.05
    """Step size of Adam."""
    num_actors: int = 0
    """Processes that simulate; results do not depend on it."""
    episodes: int = 20
    """Fresh episodes of the evaluation at the end."""
    episode_length: int = 1000
    """Steps after which an episode is cut."""
    seed: int = 0
    """Seed of everything."""
    out: Path = Path("runs/swimmer-policy")
    """Folder of the policy."""


def main(args: Args) -> None:
    """Search, save the policy, load it back and evaluate it."""
    torch.manual_seed(args.seed)
    # A spec, not only a network: it is what the policy's file says about the network.
    spec = NetworkSpec(8, 2, hidden=(), layer="chromatic", num_colors=args.num_colors)
    network = spec.build()
    space = SearchSpace.of(network)
    print(f"{space.num_decisions} edges, 10^{space.log10_size:.1f} colorings")

    problem = PolicyProblem(
        "Swimmer-v5",
        network,
        search_space=space,
        observation_normalization=False,  # it slows down learning to swim
        episode_length=args.episode_length,
        seed=args.seed,
        num_actors=args.num_actors,
    )
    search = ESENAS(
        problem,
        RegularizedEvolution(space, seed=args.seed),
        popsize=args.popsize,
        center_init=parameters_to_vector(network.parameters()),
        stdev_init=args.stdev,
        center_learning_rate=args.learning_rate,
        num_center_evaluations=args.center_evaluations,
        seed=args.seed,
    )
    StdOutLogger(search, interval=10)
    search.run(args.generations)
    if problem.actors is not None:
        problem.kill_actors()

    problem.to_policy(search.center_solution(), spec=spec).save(args.out)
    returns = evaluate_policy(
        load_policy(args.out),
        num_episodes=args.episodes,
        episode_length=args.episode_length,
        seed=args.seed,
    )
    print(f"{args.out}: return {returns.mean():.1f} ± {returns.std():.1f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
