"""The evaluator with two actors beside the bare physics of what it simulates."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from evotorch import SolutionBatch
from raw_physics import raw_physics
from throughput_tasks import CANDIDATES, PROCESSES, ROWS, Row, candidates_of, make_problem
from torch import Tensor

from structured_layers.algorithms.perturbation import Perturbation
from structured_layers.integrations.evotorch import PolicyProblem

SAMPLE = 1.0  # seconds that a measurement lasts at least, by generations of the same candidates
SETTLE = 8.0  # seconds of generations before the first measurement: Ray's services start meanwhile
FALLING = Row(
    "Hopper, ends early", "Hopper-v5", 1.15,
    {"healthy_angle_range": (-3.0, 3.0), "healthy_z_range": (0.2, float("inf"))},
)  # fmt: skip
POOL = 1024  # random policies, among which those are chosen that fall early and late
LARGE = 1000  # candidates whose memory is measured
Record = dict[str, Any]


class Generations:
    """Evaluates the same generation again and again.

    Args:
        problem: who evaluates.
        values: the candidates.
        perturbation: what they follow from; None sends them as they are.
    """

    def __init__(
        self, problem: PolicyProblem, values: Tensor, perturbation: Perturbation | None = None
    ) -> None:
        self.problem, self.values, self._perturbation = problem, values, perturbation
        self._start = problem.state_dict()
        start = time.perf_counter()
        self.run()  # actors start
        while problem.crew is not None and time.perf_counter() - start < SETTLE:
            self.run()

    def run(self) -> tuple[int, float]:
        """Evaluate once and return the environment steps and seconds."""
        self.problem.load_state_dict(self._start)  # the same seeds, and nothing normalised
        self.batch = SolutionBatch(self.problem, len(self.values), empty=True)
        self.batch.set_values(self.values)
        before, start = self.problem.env_steps, time.perf_counter()
        self.problem.describe_next(self._perturbation)
        self.problem.evaluate(self.batch)
        return self.problem.env_steps - before, time.perf_counter() - start

    def rate(self) -> float:
        """Environment steps per second, over generations that take a second together."""
        steps, seconds = 0, 0.0
        while seconds < SAMPLE:
            more, took = self.run()
            steps, seconds = steps + more, seconds + took
        return steps / seconds

    def record(self, physics: Any) -> None:
        """Let other processes record these episodes, normalised as they were here."""
        self.problem.load_state_dict(self._start)
        physics.record(self.problem, self.values)

    def lengths(self) -> list[int]:
        """Environment steps of a candidate: the least, the quartiles, the most."""
        steps = self.batch.evals[:, 2].numpy()
        return [int(q) for q in np.quantile(steps, (0, 0.25, 0.5, 0.75, 1))]


def measure_row(row: Row, rounds: int) -> Record:
    """Alternate between the evaluator and the bare physics."""
    problem = make_problem(row)
    perturbation, values = candidates_of(problem.network, row)
    return _alternate(row, Generations(problem, values, perturbation), rounds)


def _alternate(row: Row, generations: Generations, rounds: int) -> Record:
    ours, raw = [], []
    with raw_physics(row.env, PROCESSES, row.env_config) as physics:
        generations.record(physics)
        for _ in range(rounds):
            ours.append(generations.rate())
            raw.append(statistics.mean(_replays(physics)))
            print(f"{row.name}: {ours[-1]:,.0f} of {raw[-1]:,.0f} env steps/s", flush=True)
    lengths = generations.lengths()
    generations.problem.kill_actors()
    ray.shutdown()
    shares = [one / other for one, other in zip(ours, raw, strict=True)]
    return {
        "row": row.name,
        "against": "bare mj_step, 2 processes",
        "goal": row.goal,
        "value": statistics.median(shares),
        "ours": ours,
        "other": raw,
        "episode_steps": lengths,
    }


def _replays(physics: Any) -> list[float]:
    rates, start = [], time.perf_counter()
    while not rates or time.perf_counter() - start < SAMPLE:
        rates.append(physics.replay().rate)
    return rates


def measure_early_ends(rounds: int) -> Record:
    """Seconds of a generation whose candidates fall, by those of its physics alone."""
    problem = make_problem(FALLING)
    record = _alternate(FALLING, Generations(problem, _fallers()), rounds)
    costs = [raw / ours for ours, raw in zip(record["ours"], record["other"], strict=True)]
    record |= {"value": statistics.median(costs), "lower_is_better": True}
    return record


def _fallers() -> Tensor:
    """Policies that fall after few and after many steps, from many random ones, in no order."""
    problem = make_problem(FALLING, num_actors=0)
    _, pool = candidates_of(problem.network, FALLING, POOL)
    generator = torch.Generator().manual_seed(0)
    pool = pool[torch.randperm(POOL, generator=generator)]
    trial = Generations(problem, pool)
    left = np.log(trial.batch.evals[:, 2].numpy())
    chosen = []
    for target in np.linspace(np.log(20), np.log(1000), CANDIDATES):
        chosen.append(int(np.abs(left - target).argmin()))
        left[chosen[-1]] = np.inf
    return pool[chosen][torch.randperm(CANDIDATES, generator=generator)]


def measure_memory() -> Record:
    """The most memory that an actor ever had, over 1,000 candidates of the largest model."""
    row = next(row for row in ROWS if row.name == "Humanoid")
    problem = make_problem(replace(row, episode_length=5))
    perturbation, values = candidates_of(problem.network, row, LARGE)
    Generations(problem, values, perturbation)
    actors = problem.crew.actors  # type: ignore[union-attr]
    pids = ray.get([actor.call.remote("prepare", [], {}) for actor in actors])
    peaks = [_peak_bytes(pid) / 1e9 for pid in pids]
    problem.kill_actors()
    ray.shutdown()
    print(f"memory of the actors: {peaks} GB", flush=True)
    return {
        "row": f"{row.name}, {LARGE:,} candidates",
        "against": "memory of an actor, GB",
        "goal": 1.0,
        "value": max(peaks),
        "ours": peaks,
        "lower_is_better": True,
    }


def _peak_bytes(pid: int) -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) * 1024
