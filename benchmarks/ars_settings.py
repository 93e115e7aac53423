"""Settings of ARS V1 on Swimmer-v5, compared on seeds that no record uses.

    python benchmarks/ars_settings.py

Each setting trains a linear policy for 160 episodes with three seeds. The centre is evaluated once
every 40 training episodes; the best of these gets 20 fresh episodes. Writes
benchmarks/results/ars_settings.json.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from machine import RESULTS, describe_origin

from structured_layers import mlp
from structured_layers.algorithms import ARS
from structured_layers.algorithms.augmented_random_search import (
    ARS_SETTINGS,
    V1_SETTINGS,
    ARSSettings,
)
from structured_layers.files import write_json
from structured_layers.integrations.evotorch import PolicyProblem, evaluate_policy
from structured_layers.policy import Policy

ENV, SEEDS = "Swimmer-v5", range(1000, 1003)
COMPARED = (
    ARS_SETTINGS["Swimmer"],
    ARSSettings(2, 2, 0.02, 0.03),
    V1_SETTINGS["Swimmer"],
)
EVALUATE_EVERY = 40


def main() -> None:
    """Compare the settings and write the record."""
    parser = argparse.ArgumentParser(description="Settings of ARS V1 on Swimmer-v5.")
    parser.add_argument("--episodes", type=int, default=160, help="of one training")
    args = parser.parse_args()
    rows = []
    for settings in COMPARED:
        returns = [train(settings, seed, args.episodes) for seed in SEEDS]
        rows.append({**vars(settings), "returns": returns, "median": statistics.median(returns)})
        print(settings, [round(value) for value in returns], flush=True)
    origin = describe_origin("python benchmarks/ars_settings.py")
    record = {**origin, "env": ENV, "episodes": args.episodes, "seeds": list(SEEDS), "rows": rows}
    write_json(RESULTS / "ars_settings.json", record)


def train(settings: ARSSettings, seed: int, episodes: int) -> float:
    """Train with one seed and return the mean return of the best centre."""
    network = mlp(8, [], 2, output_bias=False)
    problem = PolicyProblem(ENV, network, observation_normalization=False, seed=seed)
    search = ARS(
        problem,
        "V1",
        num_directions=settings.num_directions,
        step_size=settings.step_size,
        noise=settings.noise,
        seed=seed,
    )
    policies: list[Policy] = []
    for _ in range(episodes // EVALUATE_EVERY):
        search.run(EVALUATE_EVERY // (2 * settings.num_directions))
        policies.append(problem.to_policy(search.status["center"]))
    best = max(policies, key=lambda policy: mean_return(policy, 1))
    return mean_return(best, 20)


def mean_return(policy: Policy, num_episodes: int) -> Any:
    """Return the mean over fresh episodes."""
    return float(evaluate_policy(policy, num_episodes=num_episodes).mean())


if __name__ == "__main__":
    main()
