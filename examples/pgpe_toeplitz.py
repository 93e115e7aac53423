"""Train a Toeplitz policy with a search of EvoTorch's own, PGPE.

    python examples/pgpe_toeplitz.py --env Hopper-v5 --num-actors 2

A PolicyProblem without a search space is an ordinary EvoTorch problem, so PGPE, SNES and CMAES
work on it as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import tyro
from evotorch.algorithms import PGPE
from evotorch.logging import StdOutLogger

from structured_layers import ToeplitzLinear, mlp
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy
from structured_layers.integrations.simulators import make_simulator


@dataclass(frozen=True)
class Args:
    """Settings of the search."""

    env: str = "Swimmer-v5"
    """Id of an environment whose actions are a box."""
    hidden: int = 16
    """Units of the hidden layer."""
    generations: int = 50
    """Steps of the search."""
    popsize: int = 100
    """Candidates per generation."""
    stdev: float = 0.1
    """Standard deviation that the search starts with; PGPE adapts it."""
    max_speed: float = 0.15
    """Largest step of ClipUp."""
    num_actors: int = 0
    """Processes that simulate; results do not depend on it."""
    episodes: int = 20
    """Fresh episodes of the evaluation at the end."""
    episode_length: int = 1000
    """Steps after which an episode is cut."""
    seed: int = 0
    """Seed of everything."""


def main(args: Args) -> None:
    """Search with PGPE, then evaluate its center over fresh episodes."""
    torch.manual_seed(args.seed)
    with make_simulator(args.env, capacity=1) as simulator:
        observations, (actions,) = simulator.observation_size, simulator.action_space.shape
    network = mlp(observations, [args.hidden], actions, layer=ToeplitzLinear, output_bias=False)

    problem = PolicyProblem(
        args.env,
        network,
        episode_length=args.episode_length,
        seed=args.seed,
        num_actors=args.num_actors,
    )
    search = PGPE(
        problem,
        popsize=args.popsize,
        center_learning_rate=args.max_speed / 2,
        stdev_learning_rate=0.1,
        stdev_init=args.stdev,
        optimizer="clipup",
        optimizer_config={"max_speed": args.max_speed},
        ranking_method="centered",
    )
    StdOutLogger(search, interval=10)
    search.run(args.generations)
    if problem.actors is not None:
        problem.kill_actors()

    policy = problem.to_policy(search.status["center"])
    returns = evaluate_policy(
        policy, num_episodes=args.episodes, episode_length=args.episode_length, seed=args.seed
    )
    print(f"{args.env}: return {returns.mean():.1f} ± {returns.std():.1f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
