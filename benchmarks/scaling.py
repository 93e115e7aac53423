"""What a generation costs on more actors: measured for 1 and 2, a model on paper for thousands.

    python benchmarks/scaling.py

HalfCheetah-v5, one hidden layer of 32. Measured are environment steps per second with 1 and 2
actors, the bytes of a chunk there and back, and the processor time of the driver itself: per
generation, per candidate and per chunk, by a fit to generations of several sizes whose episodes
have one step. The model gives every actor one chunk of 32 candidates, as an evaluation of that size
would, and adds up what comes one after the other: the driver's work, the bytes through its network
card, the simulation. Writes benchmarks/results/scaling.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import pickle
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from machine import RESULTS, describe_origin

from structured_layers import mlp
from structured_layers.algorithms import ES
from structured_layers.files import write_json
from structured_layers.integrations.evotorch import PolicyProblem, actors
from structured_layers.integrations.evotorch.crew import Crew
from structured_layers.integrations.evotorch.ray_session import ensure_ray

ENV, SIZES, EPISODE = "HalfCheetah-v5", (17, 32, 6), 1000
PER_ACTOR = 32  # candidates of the model
ACTORS = (8, 64, 512, 4096)
SETTLE = 8.0  # seconds of generations before the first measurement: Ray's services start meanwhile
BYTES_PER_SECOND = 1.25e9  # of the driver's network card in the model: 10 Gbit/s


def make_search(num_actors: int, popsize: int, episode_length: int) -> ES:
    """A search whose problem has so many actors, a single one included."""
    torch.manual_seed(0)
    inputs, hidden, outputs = SIZES
    problem = PolicyProblem(
        ENV, mlp(inputs, [hidden], outputs), seed=0, episode_length=episode_length
    )
    problem.crew = Crew(problem, num_actors, {})
    problem._actors, problem._num_actors = problem.crew.actors, num_actors
    return ES(problem, popsize=popsize, stdev_init=0.05, seed=0)


def measure_rate(num_actors: int, generations: int) -> list[float]:
    """Environment steps per second of whole generations."""
    search = make_search(num_actors, PER_ACTOR * 4, EPISODE)
    warm = time.perf_counter() + SETTLE
    while time.perf_counter() < warm:
        search.step()
    rates = []
    for _ in range(generations):
        steps, start = search.problem.env_steps, time.perf_counter()
        search.step()
        rates.append((search.problem.env_steps - steps) / (time.perf_counter() - start))
        print(f"{num_actors} actors: {rates[-1]:,.0f} steps/s", flush=True)
    search.problem.kill_actors()
    return rates


def measure_driver(generations: int) -> list[dict[str, float]]:
    """The driver's processor time for generations that hardly simulate."""
    rows, long_chunk = [], actors.LONG_CHUNK
    for popsize, chunk in ((64, 32), (64, 2), (1024, 32), (1024, 8)):
        actors.CHUNK = actors.LONG_CHUNK = chunk  # after short generations chunks are long
        search = make_search(2, popsize, 1)
        search.step()
        seconds = []
        for _ in range(generations):
            start = time.process_time()
            search.step()
            seconds.append(time.process_time() - start)
        rows.append(
            {
                "candidates": popsize,
                "chunks": len(actors.chunk_slices(popsize, 2)),
                "seconds": statistics.median(seconds),
            }
        )
        search.problem.kill_actors()
        print(rows[-1], flush=True)
    actors.CHUNK, actors.LONG_CHUNK = PER_ACTOR, long_chunk
    return rows


def fit_driver(rows: list[dict[str, float]]) -> dict[str, float]:
    """Seconds per generation, candidate and chunk, none of them below zero."""
    from scipy.optimize import nnls

    terms = np.array([[1.0, row["candidates"], row["chunks"]] for row in rows])
    found, _ = nnls(terms, np.array([row["seconds"] for row in rows]))
    return dict(zip(("generation", "candidate", "chunk"), found.tolist(), strict=True))


def measure_bytes() -> dict[str, float]:
    """Bytes of a chunk there, and of a candidate of it back."""
    search = make_search(2, 2 * PER_ACTOR, 1)
    problem = search.problem
    values = torch.empty(2 * PER_ACTOR, problem.solution_length)
    search._weights.ask(0, values)
    candidates = problem._candidates(values, search._weights.perturbation)
    out = [len(pickle.dumps(candidates[:n], protocol=5)) for n in (PER_ACTOR, 2 * PER_ACTOR)]
    back = [
        len(pickle.dumps(problem.evaluate_candidates(candidates[:n]), protocol=5))
        for n in (PER_ACTOR, 2 * PER_ACTOR)
    ]
    problem.kill_actors()
    each_out, each_back = ((two - one) / PER_ACTOR for one, two in (out, back))
    return {
        "out_per_chunk": out[0] - PER_ACTOR * each_out,
        "out_per_candidate": each_out,
        "back_per_chunk": back[0] - PER_ACTOR * each_back,
        "back_per_candidate": each_back,
        "center": 4.0 * problem.solution_length,
    }


def model(rate: float, driver: dict[str, float], size: dict[str, float]) -> list[dict[str, Any]]:
    """A generation of one chunk for each actor; the centre goes once to every actor's machine."""
    rows = []
    for number in ACTORS:
        candidates = number * PER_ACTOR
        out = number * (size["out_per_chunk"] + size["center"])
        out += candidates * size["out_per_candidate"]
        back = number * size["back_per_chunk"] + candidates * size["back_per_candidate"]
        seconds = {
            "simulation": PER_ACTOR * EPISODE / rate,
            "driver": driver["generation"]
            + candidates * driver["candidate"]
            + number * driver["chunk"],
            "network": (out + back) / BYTES_PER_SECOND,
        }
        total = sum(seconds.values())
        rows.append(
            {
                "actors": number,
                "candidates": candidates,
                "bytes_out": round(out),
                "bytes_back": round(back),
                "seconds": seconds,
                "efficiency": seconds["simulation"] / total,
            }
        )
    return rows


def main() -> None:
    """Measure, extrapolate and write the record."""
    parser = argparse.ArgumentParser(description="Cost of a generation on more actors.")
    parser.add_argument("--generations", type=int, default=5, help="of each measurement")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    args = parser.parse_args()
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    origin = describe_origin("python benchmarks/scaling.py")
    ensure_ray()
    rates = {str(number): measure_rate(number, args.generations) for number in (1, 2)}
    rows = measure_driver(args.generations)
    driver, size = fit_driver(rows), measure_bytes()
    ray.shutdown()
    rate = statistics.median(rates["2"]) / 2
    record = {
        **origin,
        "setting": f"{ENV}, hidden {SIZES[1]}, {PER_ACTOR} candidates for each actor",
        "steps_per_second": rates,
        "driver_seconds": driver,
        "driver_measurements": rows,
        "bytes": size,
        "network_bytes_per_second": BYTES_PER_SECOND,
        "model": model(rate, driver, size),
    }
    write_json(args.out, record)
    print(json.dumps({k: record[k] for k in ("driver_seconds", "bytes", "model")}, indent=2))


if __name__ == "__main__":
    main()
