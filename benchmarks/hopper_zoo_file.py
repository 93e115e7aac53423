"""Make one file of the policies that benchmarks/hopper_zoo.py trained.

    python benchmarks/hopper_zoo_file.py

Every policy acts on the same normalised observations: its own normaliser is folded into its first
layer. Its return is the mean over fresh episodes, the alive bonus included. Of policies that do
nearly the same on all states one is kept. Writes benchmarks/data/hopper_zoo.safetensors and the
description beside it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hopper_normalizer import MEAN, STD
from hopper_zoo import ENV, FOLDER, SPEC
from machine import ROOT, describe_origin
from torch import Tensor
from torch.nn.utils import vector_to_parameters
from zoo_returns import mean_returns, visited_states

from structured_layers.algorithms.latent import PolicyZoo, fold_normalizer, network_outputs
from structured_layers.files import read_tensors
from structured_layers.integrations.evotorch.rollouts import Normalization

NUM_STATES = 8_192
NEARLY_EQUAL = 1e-3
"""Mean squared difference of the outputs, less than which two policies count as one; outputs move
the joints between -1 and 1."""


def read_runs(folder: Path) -> list[dict[str, Tensor]]:
    """Return the policies of all finished runs, with the number of their run each."""
    policies = []
    for path in sorted(folder.glob("seed*.safetensors")):
        tensors = read_tensors(path)
        count = 1 + max(int(name.split(".")[0]) for name in tensors)
        for i in range(count):
            entry = {n.split(".", 1)[1]: t for n, t in tensors.items() if n.startswith(f"{i}.")}
            policies.append({**entry, "run": torch.tensor(int(path.stem.removeprefix("seed")))})
    return policies


def shared_normalizer() -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation that all benchmarks on Hopper share."""
    return torch.tensor(MEAN, dtype=torch.float64), torch.tensor(STD, dtype=torch.float64)


def folded_weights(policies: list[dict[str, Tensor]], shared: tuple[Tensor, Tensor]) -> Tensor:
    """Return the weights (N, d) of policies that act on the shared normaliser."""
    network = SPEC.build().requires_grad_(False)
    rows = []
    for policy in policies:
        vector_to_parameters(policy["weights"], network.parameters())
        own = policy["observation_mean"], policy["observation_std"]
        named = {name: value.clone() for name, value in network.named_parameters()}
        folded = fold_normalizer(named, "0", own, shared)
        rows.append(torch.cat([value.flatten() for value in folded.values()]))
    return torch.stack(rows)


def different(outputs: Tensor) -> Tensor:
    """Return which policies (N,) do something else than all before, given outputs (N, S, act)."""
    rows = outputs.clamp(-1, 1).flatten(1)
    distances = torch.cdist(rows, rows).square() / rows.shape[1]
    kept = torch.zeros(len(rows), dtype=torch.bool)
    for row in range(len(rows)):
        kept[row] = not bool((distances[row][kept] < NEARLY_EQUAL).any())
    return kept


def main() -> None:
    """Evaluate the policies and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=FOLDER)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--episode-length", type=int, default=1000)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "data" / "hopper_zoo.safetensors"
    )
    args = parser.parse_args()
    origin = describe_origin("python benchmarks/hopper_zoo_file.py")
    policies = read_runs(args.runs)
    runs = sorted(args.runs.glob("seed*.json"))
    shared = shared_normalizer()
    weights = folded_weights(policies, shared)
    task = (ENV, SPEC.build(), weights, Normalization(shared[0].numpy(), shared[1].numpy()))
    length = args.episode_length
    returns = mean_returns(*task, num_episodes=args.episodes, episode_length=length)
    per_policy = -(-NUM_STATES // len(policies))
    states = visited_states(*task, per_policy=per_policy, episode_length=length)
    described = {**origin, "episodes": args.episodes, "nearly_equal": NEARLY_EQUAL}
    described["settings"] = [json.loads(path.read_text())["settings"] for path in runs]
    zoo = make_zoo(policies, weights, torch.from_numpy(states), shared, described)
    zoo = replace(zoo, returns=torch.from_numpy(returns))
    kept = different(network_outputs(zoo.network(0), zoo.weights, zoo.normalized_states()[::8]))
    zoo.select(kept).save(args.out)
    summary = f"{zoo.returns.min():,.0f} to {zoo.returns.max():,.0f}"
    print(f"{int(kept.sum())} of {len(zoo)} policies, returns from {summary}")


def make_zoo(
    policies: list[dict[str, Tensor]],
    weights: Tensor,
    states: Tensor,
    shared: tuple[Tensor, Tensor],
    origin: dict[str, Any],
) -> PolicyZoo:
    """Return the zoo of all policies, whose returns are not known yet."""
    networks = []
    for row in weights:
        network = SPEC.build()
        vector_to_parameters(row, network.parameters())
        networks.append(network)
    zoo = PolicyZoo.from_networks(
        networks,
        states,
        state_policies=torch.arange(len(networks)).repeat_interleave(len(states) // len(networks)),
        runs=[int(policy["run"]) for policy in policies],
        env_steps=[int(policy["env_steps"]) for policy in policies],
        observation_mean=shared[0],
        observation_std=shared[1],
        env=ENV,
    )
    return replace(zoo, origin=origin)


if __name__ == "__main__":
    main()
