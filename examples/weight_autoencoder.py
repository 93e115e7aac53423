"""Autoencode the first layer of trained Hopper policies, and let a decoded policy act.

    python examples/weight_autoencoder.py

Loads the policies in benchmarks/data, trains an autoencoder on the outputs of most of them, and
compares the returns of some others before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from structured_layers import to_dense
from structured_layers.actions import BoxActions
from structured_layers.algorithms.latent import PolicyZoo, TrainingSettings, fit_autoencoder
from structured_layers.integrations.evotorch import evaluate_policy
from structured_layers.policy import Policy

ZOO = Path(__file__).resolve().parent.parent / "benchmarks" / "data" / "hopper_zoo.safetensors"


def main() -> None:
    """Train, decode and evaluate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ZOO)
    parser.add_argument("--latent-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--policies", type=int, default=5, help="how many are compared")
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--episode-length", type=int, default=1000)
    args = parser.parse_args()
    zoo = PolicyZoo.load(args.zoo)
    draws = torch.Generator().manual_seed(0)
    parts = zoo.split(draws)
    coder, history = fit_autoencoder(
        parts.train,
        parts.validation,
        {"0": args.latent_size},
        draws,
        settings=TrainingSettings(steps=args.steps, output_limit=1.0),
        callback=lambda look: print(f"step {look.step}: validation {look.validation:.3f}"),
    )
    print(f"{len(parts.train)} policies, {coder.compression:.0f} times fewer numbers in the layer")
    for index in range(min(args.policies, len(parts.test))):
        network = parts.test.network(index)
        decoded = to_dense(coder.encode(network))
        returns = [mean_return(zoo, policy, args) for policy in (network, decoded)]
        print(f"return {returns[0]:.0f}, decoded {returns[1]:.0f}")


def mean_return(zoo: PolicyZoo, network: nn.Module, args: argparse.Namespace) -> float:
    """Return the mean return of a network over fresh episodes."""
    bounds = torch.ones(3).numpy()
    policy = Policy(
        network,
        BoxActions(-bounds, bounds),
        observation_mean=zoo.observation_mean.numpy(),
        observation_std=zoo.observation_std.numpy(),
    )
    returns = evaluate_policy(
        policy, zoo.env, num_episodes=args.episodes, episode_length=args.episode_length
    )
    return float(returns.mean())


if __name__ == "__main__":
    main()
