"""Test accuracies on scikit-learn's digits, learned structures against fixed ones.

    python benchmarks/digits.py

Trains the networks of examples/digits.py and more with five seeds each, says which limits hold, and
writes benchmarks/results/digits.json.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from machine import RESULTS, ROOT, describe_origin
from torch import nn

from structured_layers import (
    ChromaticLinear,
    CirculantLinear,
    LowDisplacementRankLinear,
    Palette,
)
from structured_layers.files import write_json
from structured_layers.layers.clustering import kmeans
from structured_layers.metrics import summarize

NUM_SEEDS = 5
NUM_COLORS = 17
ALLOWED_LOSS = 0.015  # of learned colors against the dense network
PACKAGES = ("torch", "numpy", "scikit-learn", "structured-layers")
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "digits.py"))


def main(num_seeds: int = NUM_SEEDS, epochs: int | None = None, folder: Path = RESULTS) -> None:
    """Train, compare and write the record."""
    torch.set_num_threads(1)
    args = EXAMPLE["Args"]() if epochs is None else EXAMPLE["Args"](epochs=epochs)
    digits, results = EXAMPLE["load"](), {}
    print(f"{'network':<20} {'weights':>8} {'mean':>7} {'lowest':>7} {'highest':>7}")
    for name, train in methods(digits, args).items():
        results[name] = measure(train, digits, num_seeds)
        found = results[name]["accuracies"]
        size, mid = results[name]["weights"], results[name]["mean"]
        print(f"{name:<20} {size:>8} {mid:7.4f} {min(found):7.4f} {max(found):7.4f}", flush=True)
    limits = limits_of({name: result["mean"] for name, result in results.items()})
    for limit, holds in limits.items():
        print(f"{limit}: {'yes' if holds else 'NO'}")
    record = {
        **describe_origin("python benchmarks/digits.py", PACKAGES),
        "settings": {"learning_rate": args.learning_rate, "epochs": args.epochs},
        "seeds": list(range(num_seeds)),
        "results": results,
        "limits": limits,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "digits.json", record)


def methods(digits: Any, args: Any) -> dict[str, Callable[[], nn.Sequential]]:
    """Map names to functions that return a trained network."""
    network, fit = EXAMPLE["network"], EXAMPLE["fit"]
    makers = dict(EXAMPLE["NETWORKS"])
    makers["circulant"] = lambda: network(CirculantLinear)
    for rank in (1, 2, 4):
        layer = partial(LowDisplacementRankLinear, rank=rank)
        makers[f"displacement-rank-{rank}"] = partial(network, layer)
    trained = {name: lambda make=make: fit(make(), digits, args) for name, make in makers.items()}
    trained["colors-clustered"] = lambda: fit(cluster(trained["dense"]()), digits, args)
    return trained


@torch.no_grad()
def cluster(model: nn.Sequential) -> nn.Sequential:
    """Cluster the weights of both layers, each divided by its size, into one palette."""
    linears = [layer for layer in model if isinstance(layer, nn.Linear)]
    weights = [linear.weight / linear.weight.square().mean().sqrt() for linear in linears]
    palette = Palette(NUM_COLORS)
    palette.values.copy_(kmeans(torch.cat([w.flatten() for w in weights]), NUM_COLORS))
    first, second = (ChromaticLinear.from_linear(linear, palette=palette) for linear in linears)
    return nn.Sequential(first, nn.Tanh(), second)


def measure(train: Callable[[], nn.Sequential], digits: Any, num_seeds: int) -> dict[str, Any]:
    """Return the weights of a network, and its test accuracy for every seed."""
    accuracies = []
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        model = train()
        accuracies.append(EXAMPLE["accuracy"](model, digits))
    return {
        "weights": summarize(model).weights,
        "mean": mean(accuracies),
        "accuracies": accuracies,
    }


def limits_of(means: dict[str, float]) -> dict[str, bool]:
    """Say whether learned structures do what is asked of them."""
    return {
        "learned colors within 1.5 points of dense": (
            means["colors-learned"] >= means["dense"] - ALLOWED_LOSS
        ),
        "learned colors above random ones": means["colors-learned"] > means["colors-random"],
        "learned edges above random ones": means["edges-learned"] > means["edges-random"],
    }


if __name__ == "__main__":
    main()
