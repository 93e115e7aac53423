"""Learn colors and masks by gradient on scikit-learn's digits, against random ones.

    python examples/digits.py

Every network has 64, 128 and 10 units, tanh, and is trained by plain ``torch.optim.Adam``. Networks
that learn their structure are hardened before they are tested. Needs scikit-learn, which comes with
``structured-layers[metrics]``; benchmarks/digits.py compares more structures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import tyro
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from structured_layers import ChromaticLinear, MaskedLinear, Palette, ToeplitzLinear, mlp
from structured_layers.metrics import summarize


class Digits(NamedTuple):
    """Pixels between 0 and 1, and the digit."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def load() -> Digits:
    """Return a fixed split with a quarter of the digits for the test."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.25, random_state=0, stratify=y)
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    return Digits(train_x.float(), train_y, test_x.float(), test_y)


def network(layer: Callable[..., nn.Module]) -> nn.Sequential:
    return mlp(64, [128], 10, layer=layer)


def chromatic(**structure: object) -> nn.Sequential:
    """One palette of 17 colors serves both layers, and each scales it."""
    return network(partial(ChromaticLinear, palette=Palette(17), **structure))


def masked(learn_mask: bool) -> nn.Sequential:
    """500 edges: 4 % of the first layer's, 12 % of the second's."""

    def layer(fan_in: int, fan_out: int, bias: bool) -> MaskedLinear:
        num_edges = 340 if fan_out == 128 else 160
        if learn_mask:
            return MaskedLinear(fan_in, fan_out, bias, learn_mask=True, num_edges=num_edges)
        kept = torch.randperm(fan_in * fan_out) < num_edges
        return MaskedLinear(fan_in, fan_out, bias, mask=kept.view(fan_out, fan_in))

    return network(layer)


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "dense": lambda: network(nn.Linear),
    "toeplitz": lambda: network(ToeplitzLinear),
    "colors-random": lambda: chromatic(scale=1.0),
    "colors-learned": lambda: chromatic(learn_colors=True),
    "edges-random": lambda: masked(learn_mask=False),
    "edges-learned": lambda: masked(learn_mask=True),
}


@dataclass(frozen=True)
class Args:
    """Settings of the comparison."""

    epochs: int = 100
    """Passes over the training digits."""
    learning_rate: float = 0.01
    """First step size of Adam; it falls to zero along a cosine."""
    seed: int = 0
    """Seed of weights, random structures and batches."""


def fit(model: nn.Sequential, digits: Digits, args: Args) -> nn.Sequential:
    """Minimize the cross-entropy; to the optimizer, all these layers are ordinary modules."""
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for _ in range(args.epochs):
        for rows in torch.randperm(len(digits.train_x)).split(64):
            loss = nn.functional.cross_entropy(model(digits.train_x[rows]), digits.train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return nn.Sequential(*(m.harden() if hasattr(m, "harden") else m for m in model))


@torch.no_grad()
def accuracy(model: nn.Module, digits: Digits) -> float:
    return float((model(digits.test_x).argmax(1) == digits.test_y).float().mean())


def main(args: Args) -> None:
    """Train every network and print its size and its accuracy on the test digits."""
    digits = load()
    print(f"{'network':<16} {'weights':>8} {'accuracy':>9}")
    for name, make in NETWORKS.items():
        torch.manual_seed(args.seed)
        model = fit(make(), digits, args)
        print(f"{name:<16} {summarize(model).weights:>8} {accuracy(model, digits):>9.4f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
