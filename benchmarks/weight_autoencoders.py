"""How well do decoded policies do? Autoencoders, PCA and random projections of Hopper policies.

    python benchmarks/weight_autoencoders.py --workers 2
    python benchmarks/weight_autoencoders.py --quick --zoo FILE --out FILE   # to try the script

Every case encodes some layers of the test policies of benchmarks/data/hopper_zoo.safetensors and
lets the policies with decoded weights and the policies themselves act in the same fresh episodes.
Goes on where it was stopped. Writes benchmarks/results/weight_autoencoders.json, with
``--autoencoder runs/autoencoder`` the one that the searches in latent space use to that folder
first. benchmarks/autoencoder_pictures.py draws what is recorded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shlex
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from autoencoder_cases import SOLVED, Case, planned_cases
from machine import RESULTS, ROOT, describe_origin
from torch import Tensor, nn
from zoo_returns import mean_returns, visited_states

from structured_layers.algorithms.latent import (
    History,
    NetworkAutoencoder,
    PolicyZoo,
    TrainingSettings,
    ZooSplit,
    fit_autoencoder,
    fit_linear_autoencoder,
)
from structured_layers.algorithms.latent.output_distance import decode_layers, refine_codes
from structured_layers.files import write_json
from structured_layers.integrations.evotorch.rollouts import Normalization

ZOO = ROOT / "benchmarks" / "data" / "hopper_zoo.safetensors"
SETTINGS = TrainingSettings(steps=2_000, output_limit=1.0)
REFINE_STEPS, REFINE_STATES = 300, 256
DISTURBANCE = 0.3
"""Standard deviation of what is added to visited states, in units of the normalised ones."""
SHOWN = 16
"""Policies of the test part, and of the training part, whose episodes are run."""
LATENT_SEARCH = Case("solved", "networks", (("0", 64), ("2", 16)), True, "autoencoder")
"""What the searches in latent space use."""
LINEAR = {"output PCA": "output_components", "PCA": "weight_components", "random": "random"}
Options = dict[str, Any]


@cache
def read_split(zoo: Path, selection: str, groups: str) -> ZooSplit:
    """Return the parts of a zoo, the same for every case."""
    policies = PolicyZoo.load(zoo)
    if selection == "solved":
        policies = policies.solved(SOLVED)
    return policies.split(torch.Generator().manual_seed(0), groups=groups)  # type: ignore[arg-type]


def fit(case: Case, split: ZooSplit, settings: TrainingSettings) -> tuple[Any, History | None]:
    """Return the autoencoder of a case, and its history if it was trained."""
    draws = torch.Generator().manual_seed(0)
    sizes, aligned = dict(case.sizes), case.aligned
    if case.method == "autoencoder":
        return fit_autoencoder(
            split.train, split.validation, sizes, draws, aligned=aligned, settings=settings
        )
    method = LINEAR[case.method]
    coder = fit_linear_autoencoder(split.train, sizes, draws, method=method, aligned=aligned)  # type: ignore[arg-type]
    return coder, None


def run_case(case: Case, zoo: Path, options: Options) -> dict[str, Any]:
    """Train and evaluate one case."""
    torch.set_num_threads(1)
    split = read_split(zoo, case.selection, case.groups)
    start = time.perf_counter()
    coder, history = fit(case, split, replace(SETTINGS, steps=options["steps"]))
    found: dict[str, Any] = {
        **case.describe(),
        "compression": coder.compression,
        "num_train": len(split.train),
        "num_test": len(split.test),
        "seconds": round(time.perf_counter() - start, 2),
    }
    for name in ("test", "train") if case.is_drawn else ("test",):
        part = shown_policies(getattr(split, name), options["shown"])
        known = input_returns(zoo, case.selection, case.groups, name, tuple(options.items()))
        states = own_states(zoo, case.selection, case.groups, name, tuple(options.items()))
        found[name] = {"input": known, **compare(coder, part, states, options)}
    if history is not None:
        found["best_step"] = history.best_step
        if case.is_drawn:
            names = history.looks[0]._fields
            found["looks"] = {n: [getattr(look, n) for look in history.looks] for n in names}
    return found


def shown_policies(part: PolicyZoo, count: int) -> PolicyZoo:
    """Return policies from all over a part, which is in the order of the runs."""
    return part.select(torch.linspace(0, len(part) - 1, min(count, len(part))).long())


@cache
def input_returns(
    zoo: Path, selection: str, groups: str, name: str, options: tuple[tuple[str, int], ...]
) -> list[float]:
    """Return the returns of the policies themselves, which all cases share."""
    settings = dict(options)
    part = shown_policies(getattr(read_split(zoo, selection, groups), name), settings["shown"])
    return act(part, part.weights, settings)


@cache
def own_states(
    zoo: Path, selection: str, groups: str, name: str, options: tuple[tuple[str, int], ...]
) -> Tensor:
    """Return normalised states (N, 2S, obs) that each policy visits, and the same disturbed."""
    settings = dict(options)
    part = shown_policies(getattr(read_split(zoo, selection, groups), name), settings["shown"])
    states = visited_states(
        *_task(part, part.weights),
        per_policy=REFINE_STATES,
        episode_length=settings["episode_length"],
        seed=2,  # neither the episodes of the zoo nor those in which policies are compared
    )
    visited = torch.from_numpy(states).reshape(len(part), REFINE_STATES, -1)
    visited = ((visited - part.observation_mean) / part.observation_std).float()
    noise = torch.randn(visited.shape, generator=torch.Generator().manual_seed(1))
    return torch.cat([visited, visited + DISTURBANCE * noise], dim=1)


def compare(
    coder: NetworkAutoencoder, part: PolicyZoo, states: Tensor, options: Options
) -> dict[str, list[float]]:
    """Return the returns of policies that are decoded from their codes.

    Args:
        coder: the autoencoder.
        part: the policies.
        states: (N, S, obs) on which the codes of each are refined.
        options: of the evaluation.
    """
    parameters, coders = coder.align_all(part.weights), coder.autoencoders
    with torch.no_grad():
        decoded = decode_layers(coders, coder.codes_of(parameters), parameters)
    better = refine_codes(
        coders, coder.network, parameters, states, steps=options["refine"], limit=1.0
    )
    refined = decode_layers(coders, *better)
    return {"decoded": act(part, decoded, options), "refined": act(part, refined, options)}


def act(part: PolicyZoo, parameters: dict[str, Tensor], options: Options) -> list[float]:
    """Return the mean return of each policy over fresh episodes, the same for all cases."""
    returns = mean_returns(
        *_task(part, parameters),
        num_episodes=options["episodes"],
        episode_length=options["episode_length"],
        seed=1,  # not those that the zoo was made with
    )
    return [round(value, 1) for value in np.asarray(returns).tolist()]


def _task(
    part: PolicyZoo, parameters: Mapping[str, Tensor]
) -> tuple[str, nn.Module, Tensor, Normalization]:
    """Return environment, network, weights (N, d) and normaliser of policies."""
    weights = torch.cat([value.flatten(1) for value in parameters.values()], dim=1).detach()
    normalization = Normalization(part.observation_mean.numpy(), part.observation_std.numpy())
    return str(part.env), part.network(0), weights, normalization


def main() -> None:
    """Run the cases that are not recorded yet."""
    args = parse()
    options = {"steps": SETTINGS.steps, "refine": REFINE_STEPS, "shown": SHOWN}
    options |= {"episodes": 5, "episode_length": 1000}
    cases = planned_cases()
    if args.quick:
        options |= {"steps": 2, "refine": 1, "shown": 2, "episodes": 1, "episode_length": 20}
        cases = cases[:4]
    if args.autoencoder is not None:
        split = read_split(args.zoo, LATENT_SEARCH.selection, LATENT_SEARCH.groups)
        coder, _ = fit(LATENT_SEARCH, split, replace(SETTINGS, steps=options["steps"]))
        coder.save(args.autoencoder)
    origin = describe_origin(shlex.join(["python", "benchmarks/weight_autoencoders.py"]))
    record = json.loads(args.out.read_text()) if args.out.exists() else {**origin, "cases": {}}
    zoo = PolicyZoo.load(args.zoo)
    record |= {"options": options, "solved": SOLVED, "zoo": describe_zoo(zoo)}
    open_cases = [case for case in cases if case.name not in record["cases"]]
    with ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn")) as workers:
        running = {workers.submit(run_case, c, args.zoo, options): c for c in open_cases}
        for done in as_completed(running):
            record["cases"][running[done].name] = done.result()
            write_json(args.out, record)
            print(running[done].name, f"{len(record['cases'])} of {len(cases)}", flush=True)


def describe_zoo(zoo: PolicyZoo) -> dict[str, Any]:
    """Return what the record says of the policies."""
    return {
        "policies": len(zoo),
        "runs": len(zoo.runs.unique()),
        "solved": int((zoo.returns >= SOLVED).sum()),
        "returns": [round(float(zoo.returns.quantile(q)), 1) for q in (0, 0.25, 0.5, 0.75, 1)],
        "env_steps": sum(int(zoo.env_steps[zoo.runs == run].max()) for run in zoo.runs.unique()),
    }


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ZOO)
    parser.add_argument("--out", type=Path, default=RESULTS / "weight_autoencoders.json")
    parser.add_argument("--autoencoder", type=Path, help="write the one of LATENT_SEARCH here")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few cases with tiny budgets")
    return parser.parse_args()


if __name__ == "__main__":
    main()
