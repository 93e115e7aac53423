"""A whole ES-ENAS search beside the bare physics of what it simulates."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from raw_physics import raw_physics
from throughput_tasks import HIDDEN, PROCESSES

from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

ENV, COLORS, GENERATIONS = "HalfCheetah-v5", 17, 3
SETTING = f"{ENV}, hidden {HIDDEN}, {COLORS} colours, 150 candidates, {PROCESSES} actors"


class Stopwatch:
    """Sums the time spent in some methods of an object."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def measure_search(rounds: int) -> dict[str, Any]:
    """Alternate between the search, with all that it does, and the bare physics."""
    config = RunConfig(
        ENV, hidden=(HIDDEN,), num_colors=COLORS, popsize=100, center_evaluations=50,
        controller="regularized-evolution", total_steps=10**9,
    )  # fmt: skip
    rates, raw, shares = [], [], []
    with tempfile.TemporaryDirectory() as folder, raw_physics(ENV, PROCESSES) as physics:
        run = Run.create(Path(folder) / "run", config, num_actors=PROCESSES)
        stopwatch = Stopwatch()
        stopwatch.watch(run.search.controller, "propose", "observe", "best")
        stopwatch.watch(run.problem.search_space, "decode", "check")
        _train(run, 2)  # actors start, the queue of the controller fills
        for _ in range(rounds):
            stopwatch.seconds = 0.0
            steps, start = run.problem.env_steps, time.perf_counter()
            _train(run, GENERATIONS)
            elapsed = time.perf_counter() - start
            rates.append((run.problem.env_steps - steps) / elapsed)
            shares.append(stopwatch.seconds / elapsed)
            physics.record(run.problem, run.search.population.values)
            raw.append(physics.replay().rate)
            print(f"search: {rates[-1]:,.0f} of {raw[-1]:,.0f} env steps/s", flush=True)
        run.close()
    ray.shutdown()
    ratios = [one / other for one, other in zip(rates, raw, strict=True)]
    return {
        "setting": SETTING,
        "ratios": {"of raw mj_step": statistics.median(ratios)},
        "controller_share": statistics.median(shares),
        "steps_per_second": {"search": rates, "raw mj_step": raw},
    }


def _train(run: Run, generations: int) -> None:
    last = run.generation + generations
    run.train(should_stop=lambda: run.generation >= last)
