"""What controllers cost beside the simulation, and what they find where the optimum is known.

    python benchmarks/controllers.py            # all parts
    python benchmarks/controllers.py --parts coloring edges mask

Part ``share``: seconds of proposing and observing in a generation of ES-ENAS of 450 candidates on
HalfCheetah-v5, one hidden layer of 41 (943 edges), 17 colors, two actors. Part ``pyglove``: the
regularized evolution of PyGlove on that space beside the one here, alone. Parts ``coloring``,
``edges`` and ``mask``: a hidden structure, the objective is the share of topology entries that
agree with it, plus noise. Each part replaces its own entry of benchmarks/results/controllers.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import RESULTS, describe_origin

from structured_layers import ChromaticLinear, Palette, mlp
from structured_layers.algorithms import (
    ESENAS,
    Coloring,
    Controller,
    EdgeMask,
    EdgeSubset,
    FixedPopulation,
    PolicyGradient,
    PyGloveController,
    RandomSearch,
    RegularizedEvolution,
    SearchSpace,
)
from structured_layers.files import write_json
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.ray_session import ensure_ray

CANDIDATES = 450
H41 = Coloring(num_edges=943, num_colors=17)
CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "random search": RandomSearch,
    "fixed population": FixedPopulation,
    "regularized evolution": RegularizedEvolution,
    "policy gradient, REINFORCE": partial(PolicyGradient, algorithm="reinforce"),
    "policy gradient, PPO": PolicyGradient,
}
SYNTHETIC: dict[str, SearchSpace] = {
    "coloring": Coloring(num_edges=60, num_colors=5),
    "edges": EdgeSubset(num_edges=80, num_kept=16),
    "mask": EdgeMask(num_edges=16),
}
EVALUATIONS, GENERATION, NOISE, SEEDS = 4000, 50, 0.05, 10


class Timed:
    """Adds up the seconds that a controller's proposals and observations take."""

    def __init__(self, controller: Controller) -> None:
        self.seconds = dict.fromkeys(("propose", "observe"), 0.0)
        for name in self.seconds:
            setattr(controller, name, self._wrap(name, getattr(controller, name)))

    def _wrap(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            result = method(*args)
            self.seconds[name] += time.perf_counter() - start
            return result

        return timed


def measure_share(generations: int, episode_length: int) -> dict[str, Any]:
    """A generation's seconds, and the controller's part of them."""
    ensure_ray()
    return {name: _share(CONTROLLERS[name], generations, episode_length) for name in CONTROLLERS}


def _share(make: Callable[..., Controller], generations: int, length: int) -> dict[str, float]:
    torch.manual_seed(0)
    layer = partial(ChromaticLinear, palette=Palette(17))
    network = mlp(17, [41], 6, layer=layer, output_bias=False)
    space = SearchSpace.of(network)
    problem = PolicyProblem(
        "HalfCheetah-v5",
        network,
        search_space=space,
        episode_length=length,
        seed=0,
        num_actors=2,
    )
    controller = make(space, seed=0)
    timed = Timed(controller)
    search = ESENAS(problem, controller, popsize=CANDIDATES, num_center_evaluations=0, seed=0)
    rows = []
    for _ in range(generations + 1):
        timed.seconds.update(propose=0.0, observe=0.0)
        start = time.perf_counter()
        search.step()
        rows.append({"generation": time.perf_counter() - start, **timed.seconds})
    problem.kill_actors()
    found = {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}
    found["share"] = (found["propose"] + found["observe"]) / found["generation"]
    print(found, flush=True)
    return found


def measure_pyglove(candidates: int) -> dict[str, Any]:
    """Candidates per second, proposed and observed by either evolution with a full queue."""
    import pyglove

    size, tournament = 10, 3
    theirs = pyglove.evolution.regularized_evolution(
        mutator=pyglove.evolution.mutators.Uniform(seed=0),
        population_size=size,
        tournament_size=tournament,
        seed=0,
    )
    ours = RegularizedEvolution(H41, population_size=size, tournament_size=tournament, seed=0)
    rates = {
        "pyglove": _rate(PyGloveController(H41, theirs), size, candidates),
        "here": _rate(ours, size, CANDIDATES),
    }
    print(rates, flush=True)
    return {"population_size": size, "tournament_size": tournament, "candidates_per_second": rates}


def _rate(controller: Controller, size: int, candidates: int) -> float:
    first = controller.propose(size)
    controller.observe(first, torch.zeros(size))
    start = time.perf_counter()
    decisions = controller.propose(candidates)
    controller.observe(decisions, torch.zeros(candidates))
    return candidates / (time.perf_counter() - start)


def search_hidden(space: SearchSpace) -> dict[str, Any]:
    """How much of a hidden structure the best one agrees with, and when it was first proposed."""
    found = {}
    for name in (name for name in CONTROLLERS if name != "fixed population"):
        runs = [_search(CONTROLLERS[name], space, seed) for seed in range(SEEDS)]
        found[name] = {key: [run[key] for run in runs] for key in runs[0]}
        print(name, found[name], flush=True)
    return {"log10_size": space.log10_size, "controllers": found}


def _search(make: Callable[..., Controller], space: SearchSpace, seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1000 + seed)
    target = space.decode(space.sample(1, generator))[0]
    controller, first = make(space, seed=seed), None
    for generation in range(EVALUATIONS // GENERATION):
        decisions = controller.propose(GENERATION)
        truth = (space.decode(decisions) == target).double().mean(dim=1)
        if first is None and bool((truth == 1).any()):
            first = generation * GENERATION + int((truth == 1).nonzero()[0]) + 1
        noise = torch.randn(GENERATION, generator=generator, dtype=torch.float64)
        controller.observe(decisions, truth + NOISE * noise)
    best = (space.decode(controller.best()[None]) == target).double().mean()
    return {"best": float(best), "first_found": first}


def main() -> None:
    """Measure the parts that are asked for and write them into the record."""
    parser = argparse.ArgumentParser(description="Cost and success of controllers.")
    parts = ("share", "pyglove", *SYNTHETIC)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--generations", type=int, default=3, help="of part share, after a first")
    parser.add_argument("--episode-length", type=int, default=1000, help="of part share")
    parser.add_argument("--pyglove-candidates", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS / "controllers.json")
    args = parser.parse_args()
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    for part in args.parts:
        if part == "share":
            found = measure_share(args.generations, args.episode_length)
        elif part == "pyglove":
            found = measure_pyglove(args.pyglove_candidates)
        else:
            found = search_hidden(SYNTHETIC[part])
        record = json.loads(args.out.read_text()) if args.out.exists() else {}
        origin = describe_origin(f"python benchmarks/controllers.py --parts {part}")
        write_json(args.out, record | {part: origin | {"found": found}})


if __name__ == "__main__":
    main()
