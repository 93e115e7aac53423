"""Fit one network three times: with nn.Linear, ToeplitzLinear and ChromaticLinear.

    python examples/replace_linear_layer.py

The task is to continue a noisy wave by its next values. Only the ``layer`` argument of ``mlp``
differs between the three networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from torch import Tensor, nn

from structured_layers import ChromaticLinear, Palette, ToeplitzLinear, mlp, summarize


@dataclass(frozen=True)
class Args:
    """Settings of the comparison."""

    history: int = 32
    """How many values of the wave the network sees."""
    horizon: int = 8
    """How many values it predicts."""
    hidden: int = 64
    """Units of the hidden layer."""
    num_colors: int = 166
    """Weights in the palette; by default as many as the Toeplitz layers have."""
    steps: int = 500
    """Steps of Adam."""
    batch_size: int = 256
    """Waves per step."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    seed: int = 0
    """Seed of waves and weights."""


def main(args: Args) -> None:
    """Train the three networks and print their sizes and losses."""
    torch.manual_seed(args.seed)
    layers: dict[str, Callable[..., nn.Module]] = {
        "nn.Linear": nn.Linear,
        "ToeplitzLinear": ToeplitzLinear,
        "ChromaticLinear": partial(ChromaticLinear, palette=Palette(args.num_colors)),
    }
    print(f"{'layer':<16} {'weights':>8} {'biases':>7} {'test loss':>10}")
    for name, layer in layers.items():
        network = mlp(args.history, [args.hidden], args.horizon, layer=layer)
        train(network, args)
        size = summarize(network)
        loss = evaluate(network, args)
        print(f"{name:<16} {size.weights:>8} {size.biases:>7} {loss:>10.4f}")


def train(network: nn.Module, args: Args) -> None:
    """Minimize the squared error; to the optimizer, structured layers are ordinary modules."""
    generator = torch.Generator().manual_seed(args.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    for _ in range(args.steps):
        past, future = draw_waves(args.batch_size, args, generator)
        loss = nn.functional.mse_loss(network(past), future)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(network: nn.Module, args: Args) -> float:
    """Return the squared error on waves that the training did not see."""
    generator = torch.Generator().manual_seed(args.seed + 1)
    past, future = draw_waves(10_000, args, generator)
    return float(nn.functional.mse_loss(network(past), future))


def draw_waves(n: int, args: Args, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the past (n, history) and the future (n, horizon) of n noisy sine waves."""
    frequency, phase = torch.rand(2, n, 1, generator=generator)
    time = torch.arange(args.history + args.horizon)
    waves = torch.sin((0.2 + 0.4 * frequency) * time + 2 * torch.pi * phase)  # (n, time)
    past, future = waves.split([args.history, args.horizon], dim=1)
    return past + 0.05 * torch.randn(past.shape, generator=generator), future


if __name__ == "__main__":
    main(tyro.cli(Args))
