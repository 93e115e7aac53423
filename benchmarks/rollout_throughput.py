"""Environment steps per second of a whole ES-ENAS search against the physics and against peers.

    python benchmarks/rollout_throughput.py

HalfCheetah-v5, one hidden layer of 32, 17 colours, 2 processes. Rounds alternate between the search
(controller, update, normaliser, logging and checkpoints included) and its limit: two processes that
replay the same candidates' controls from the same start states through nothing but ``mj_step``.
Then EvoTorch's GymNE with 2 actors and sb3-contrib's ARS with 2 processes run policies of the same
shape. Writes benchmarks/results/rollout_throughput.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import torch
from machine import PACKAGES, RESULTS, describe_origin
from raw_physics import RawPhysics

from structured_layers.files import write_json
from structured_layers.integrations.evotorch.run import Run
from structured_layers.integrations.evotorch.run_config import RunConfig

ENV, HIDDEN, COLORS, PROCESSES = "HalfCheetah-v5", 32, 17, 2


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


def measure_search(rounds: int, generations: int) -> dict[str, Any]:
    """Alternate between the search and the bare physics of what it just simulated."""
    config = RunConfig(
        ENV, hidden=(HIDDEN,), num_colors=COLORS, popsize=100, center_evaluations=50,
        controller="regularized-evolution", total_steps=10**9,
    )  # fmt: skip
    search_rates, raw_rates, shares = [], [], []
    with tempfile.TemporaryDirectory() as folder, RawPhysics(ENV, PROCESSES) as physics:
        run = Run.create(Path(folder) / "run", config, num_actors=PROCESSES)
        stopwatch = Stopwatch()
        stopwatch.watch(run.search.controller, "propose", "observe", "best")
        stopwatch.watch(run.problem.search_space, "decode", "check")
        train(run, 2)  # actors start, the queue of the controller fills
        for number in range(rounds):
            stopwatch.seconds = 0.0
            steps, start = run.problem.env_steps, time.perf_counter()
            train(run, generations)
            elapsed = time.perf_counter() - start
            search_rates.append((run.problem.env_steps - steps) / elapsed)
            shares.append(stopwatch.seconds / elapsed)
            physics.record(run.problem, run.search.population.values)
            raw_rates.append(physics.replay())
            print(
                f"round {number + 1}: search {search_rates[-1]:,.0f} steps/s, bare mj_step "
                f"{raw_rates[-1]:,.0f} ({search_rates[-1] / raw_rates[-1]:.3f}), controller and "
                f"decoding {shares[-1]:.2%} of the time",
                flush=True,
            )
        run.close()
    ray.shutdown()
    return {
        "search": search_rates,
        "raw": raw_rates,
        "ratio": [s / r for s, r in zip(search_rates, raw_rates, strict=True)],
        "controller_share": shares,
    }


def train(run: Run, generations: int) -> None:
    """Train for some generations."""
    last = run.generation + generations
    run.train(should_stop=lambda: run.generation >= last)


def measure_gymne(generations: int) -> list[float]:
    """EvoTorch's own evaluator under PGPE."""
    from evotorch.algorithms import PGPE
    from evotorch.neuroevolution import GymNE

    problem = GymNE(
        ENV,
        f"Linear(obs_length, {HIDDEN}) >> Tanh() >> Linear({HIDDEN}, act_length)",
        observation_normalization=True,
        num_actors=PROCESSES,
    )
    search = PGPE(
        problem, popsize=64, center_learning_rate=0.01, stdev_learning_rate=0.1, stdev_init=0.1
    )
    search.step()
    rates = []
    for _ in range(generations):
        before, start = search.status["total_interaction_count"], time.perf_counter()
        search.step()
        steps = search.status["total_interaction_count"] - before
        rates.append(steps / (time.perf_counter() - start))
        print(f"EvoTorch GymNE: {rates[-1]:,.0f} steps/s", flush=True)
    problem.kill_actors()
    ray.shutdown()
    return rates


def make_normalized_env() -> Any:
    """One environment as RL Zoo runs ARS: observations normalised."""
    import gymnasium
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    return VecNormalize(DummyVecEnv([lambda: Monitor(gymnasium.make(ENV))]), norm_reward=False)


def measure_ars(iterations: int) -> list[float]:
    """sb3-contrib's ARS with its asynchronous evaluation."""
    from sb3_contrib import ARS
    from sb3_contrib.common.vec_env import AsyncEval

    model = ARS(
        "MlpPolicy", make_normalized_env(), n_delta=16, n_top=16, device="cpu",
        policy_kwargs={"net_arch": [HIDDEN], "activation_fn": torch.nn.Tanh},
    )  # fmt: skip
    marks = []
    update = model._do_one_update

    def timed_update(*args: Any) -> None:
        update(*args)
        marks.append((model.num_timesteps, time.perf_counter()))

    model._do_one_update = timed_update
    evaluators = AsyncEval([make_normalized_env] * PROCESSES, model.policy)
    steps = 32 * 1000  # of an update: 16 pairs of episodes
    model.learn((iterations + 1) * steps, async_eval=evaluators)
    rates = [
        (after[0] - before[0]) / (after[1] - before[1])
        for before, after in zip(marks[:-1], marks[1:], strict=True)
    ]
    for rate in rates:
        print(f"sb3-contrib ARS: {rate:,.0f} steps/s", flush=True)
    return rates


def main() -> None:
    """Measure everything side by side and write the record."""
    parser = argparse.ArgumentParser(description="Throughput of a whole search against its limit.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=3, help="of the search per round")
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "rollout_throughput.json")
    args = parser.parse_args()
    logging.getLogger("evotorch").setLevel(logging.WARNING)
    origin = describe_origin(
        "python benchmarks/rollout_throughput.py", (*PACKAGES, "stable-baselines3", "sb3-contrib")
    )
    search = measure_search(args.rounds, args.generations)
    gymne, ars = measure_gymne(args.peer_rounds), measure_ars(args.peer_rounds)
    rate = statistics.median(search["search"])
    record = {
        **origin,
        "setting": f"{ENV}, hidden {HIDDEN}, {COLORS} colours, 150 candidates, {PROCESSES} actors",
        "ratios": {
            "of raw mj_step": statistics.median(search["ratio"]),
            "EvoTorch GymNE": rate / statistics.median(gymne),
            "sb3-contrib ARS": rate / statistics.median(ars),
        },
        "limits": {  # no search can be faster than the physics that it simulates
            "EvoTorch GymNE": statistics.median(search["raw"]) / statistics.median(gymne),
            "sb3-contrib ARS": statistics.median(search["raw"]) / statistics.median(ars),
        },
        "controller_share": statistics.median(search["controller_share"]),
        "steps_per_second": {
            "search": search["search"],
            "raw mj_step": search["raw"],
            "EvoTorch GymNE": gymne,
            "sb3-contrib ARS": ars,
        },
    }
    write_json(args.out, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
