"""Evolve a policy in the space of an autoencoder's codes instead of its weights.

    python examples/latent_evolution.py                               # decoders that know nothing
    python examples/latent_evolution.py --autoencoder runs/autoencoder --search ga

With ``--autoencoder``, a folder that ``NetworkAutoencoder.save`` wrote, the search begins at the
mean of the networks that it was trained on, and a step of 1 in a code is their standard deviation.
Observations are then normalised by the statistics that those networks were trained with.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

from structured_layers import LatentLinear, WeightDecoder, to_dense
from structured_layers.algorithms import LatentES, LatentGA
from structured_layers.algorithms.latent import NetworkAutoencoder
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy


def main() -> None:
    """Evolve and evaluate."""
    args = parsed()
    torch.manual_seed(args.seed)
    problem = make_problem(args)
    if args.search == "es":
        search = LatentES(problem, popsize=args.popsize, stdev_init=0.2, seed=args.seed)
    else:
        search = LatentGA(
            problem, popsize=args.popsize, num_parents=max(args.popsize // 4, 1),
            num_elite_candidates=2, stdev=0.2, seed=args.seed,
        )  # fmt: skip
    for _ in range(args.generations):
        search.step()
        print(f"{problem.env_steps:>10,} steps, mean return {search.status['mean_eval']:.0f}")
    best = search.center_solution() if args.search == "es" else search.elite_solution()
    policy = problem.to_policy(best)
    returns = evaluate_policy(policy, num_episodes=args.episodes, seed=args.seed)
    print(f"{problem.solution_length} trained values decode to")
    print(to_dense(policy.network))
    print(f"return {returns.mean():.0f} over {args.episodes} fresh episodes")


def make_problem(args: argparse.Namespace) -> PolicyProblem:
    """Return Hopper with a network whose codes are to be evolved."""
    if not args.autoencoder:
        return PolicyProblem(
            "Hopper-v5", untrained(), episode_length=args.episode_length, seed=args.seed
        )
    coder = NetworkAutoencoder.load(args.autoencoder)
    normalization = True
    if coder.observation_mean is not None and coder.observation_std is not None:
        # other statistics would make another policy of the same weights
        normalization = coder.observation_mean.numpy(), coder.observation_std.numpy()
    return PolicyProblem(
        "Hopper-v5", coder.mean_network(), observation_normalization=normalization,
        episode_length=args.episode_length, seed=args.seed,
    )  # fmt: skip


def untrained() -> nn.Sequential:
    """Return a policy of Hopper whose weights follow from 16 and 8 numbers, in a random way."""
    return nn.Sequential(
        LatentLinear(11, 32, decoder=WeightDecoder(32, 11, latent_size=16)),
        nn.Tanh(),
        LatentLinear(32, 3, decoder=WeightDecoder(3, 32, latent_size=8)),
    )


def parsed() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--autoencoder", help="folder of a NetworkAutoencoder of Hopper policies")
    parser.add_argument("--search", choices=("es", "ga"), default="es")
    parser.add_argument("--popsize", type=int, default=40)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--episode-length", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=20, help="of the last evaluation")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
