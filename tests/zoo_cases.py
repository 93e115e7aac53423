"""Small zoos of policies for tests."""

import torch

from structured_layers import mlp
from structured_layers.algorithms.latent import PolicyZoo


def small_zoo(
    count: int = 12,
    per_run: int = 2,
    hidden: tuple[int, ...] = (6,),
    *,
    inputs: int = 3,
    outputs: int = 2,
) -> PolicyZoo:
    """Return policies of which each run's are near each other."""
    torch.manual_seed(0)
    networks = []
    for index in range(count):
        network = mlp(inputs, list(hidden), outputs)
        if index % per_run:
            noise = {k: 0.1 * torch.randn_like(v) for k, v in network.state_dict().items()}
            base = networks[-1].state_dict()
            network.load_state_dict({name: base[name] + noise[name] for name in base})
        networks.append(network)
    return PolicyZoo.from_networks(
        networks,
        5 + 2 * torch.randn(40, inputs),
        returns=torch.arange(float(count)),
        runs=torch.arange(count) // per_run,
        observation_mean=torch.full((inputs,), 5.0),
        observation_std=torch.full((inputs,), 2.0),
        env="Hopper-v5",
    )
