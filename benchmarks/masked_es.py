"""Return against usage where weights and masks are learned together: two hidden layers of 41.

    python benchmarks/masked_es.py --list                    # what would run
    python benchmarks/masked_es.py --only soft-0.5 --total-steps 20000000
    python benchmarks/masked_es.py --draw                    # the picture of the records there are

A run that was interrupted goes on when it is started again, and one whose record exists is left
alone. A record is the curve of the centre, its return and the share of edges that it uses, and the
return of the last centre over 100 fresh episodes. The picture is Figure 3 of Chromatic Networks
(arXiv 1907.06511).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import RESULTS, ROOT, describe_origin
from torch.nn.utils import parameters_to_vector

from structured_layers import SoftMaskedLinear, mlp
from structured_layers.algorithms import MaskedES
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.schedules import SCHEDULES
from structured_layers.files import write_bytes, write_json
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.evaluation import evaluate_policy
from structured_layers.integrations.evotorch.spaces import actions_of
from structured_layers.integrations.simulators import make_simulator
from structured_layers.plots.figure import color, new_figure, save_figure

GROUP = RESULTS / "masked_es"
PICTURE = ROOT / "docs" / "assets" / "masked_es.png"
NUM_EPISODES = 100
CHECKPOINT_EVERY = 20
POPSIZE = 40


class Planned(NamedTuple):
    """A run: how its masks come about, and the share that its schedule ends with."""

    name: str
    density: float | None  # None: soft gates
    final: float  # factor on β of soft gates, on the density of drawn masks


RUNS = (
    *(Planned(f"soft-{final}", None, final) for final in (0.9, 0.7, 0.5, 0.3)),
    *(Planned(f"drawn-{share}", share, 1.0) for share in (0.5, 0.2, 0.1)),
    *(Planned(f"growing-{share}", 0.5, share / 0.5) for share in (0.2, 0.1)),
)


def main() -> None:
    """Run, list or draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--only", nargs="*", choices=[run.name for run in RUNS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--total-steps", type=int, default=10_000_000)
    parser.add_argument("--num-actors", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--draw", action="store_true")
    args = parser.parse_args()
    if args.draw:
        print(draw(args.env, PICTURE))
        return
    for run in RUNS:
        folder = GROUP / _record_name(args.env, run, args.seed)
        if args.only and run.name not in args.only or (folder / "record.json").exists():
            continue
        print(folder.name)
        if not args.list:
            train(run, folder, args.env, args.seed, args.total_steps, args.num_actors)


def _record_name(env: str, run: Planned, seed: int) -> str:
    return f"{env.partition('-v')[0].lower()}-{run.name}-seed{seed}"


def train(run: Planned, folder: Path, env: str, seed: int, total_steps: int, actors: int) -> None:
    """Train a run, from its checkpoint if there is one, and write its record."""
    state_folder = ROOT / "runs" / "masked_es" / folder.name
    problem, search = _search(run, env, seed, total_steps, actors)
    rows: list[list[float]] = []
    if (state_folder / "state.json").exists():
        state = read_checkpoint(state_folder)
        if state["total_steps"] != total_steps:
            raise SystemExit(f"{state_folder} is a run of {state['total_steps']} steps; remove it")
        search.load_state_dict(state["search"])
        rows = [list(row) for row in state["rows"]]
    while problem.env_steps < total_steps:
        search.step()
        center = search.center_population
        assert center is not None
        rows.append([problem.env_steps, float(center.evals[:, 1].mean()), _usage(search)])
        if search.step_count % CHECKPOINT_EVERY == 0:
            state = {"search": search.state_dict(), "rows": rows, "total_steps": total_steps}
            write_checkpoint(state_folder, state, number=search.step_count)
    _write_record(folder, run, env, seed, total_steps, problem, search, rows)
    if problem.actors is not None:
        problem.kill_actors()


def _search(
    run: Planned, env: str, seed: int, total_steps: int, actors: int
) -> tuple[PolicyProblem, MaskedES]:
    torch.manual_seed(seed)
    with make_simulator(env, capacity=1) as simulator:
        observations = simulator.observation_size
        outputs = actions_of(simulator.action_space).num_outputs
    network = mlp(observations, [41, 41], outputs, layer=SoftMaskedLinear, output_bias=False)
    problem = PolicyProblem(env, network, seed=seed, num_actors=actors)

    def falling(generation: int) -> float:
        """Go from 1 to the final factor in the first three quarters of the steps."""
        progress = min(problem.env_steps / (0.75 * total_steps), 1.0)
        return SCHEDULES["linear"](progress, run.final)

    schedules: dict[str, Any] = {"reward_share": 1.0, "reward_share_schedule": falling}
    if run.density is not None:
        schedules = {"density": run.density, "density_schedule": falling}
    center = parameters_to_vector(network.parameters()).detach()
    search = MaskedES(
        problem, popsize=POPSIZE, center_init=center, num_center_evaluations=2, seed=seed,
        stdev_init=0.05, center_learning_rate=0.02, **schedules,
    )  # fmt: skip
    return problem, search


def _usage(search: MaskedES) -> float:
    return float(search.status["usage"])


def _write_record(
    folder: Path,
    run: Planned,
    env: str,
    seed: int,
    total_steps: int,
    problem: PolicyProblem,
    search: MaskedES,
    rows: list[list[float]],
) -> None:
    policy = problem.to_policy(search.center_solution())
    returns = evaluate_policy(policy, num_episodes=NUM_EPISODES, seed=seed)
    lines = ["env_steps,return_center,usage"]
    lines += [f"{int(steps)},{value:.6g},{usage:.6g}" for steps, value, usage in rows]
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "curve.csv", ("\n".join(lines) + "\n").encode())
    script = "python benchmarks/masked_es.py"
    command = f"{script} --env {env} --only {run.name} --seed {seed} --total-steps {total_steps}"
    record = {
        **describe_origin(command),
        "env": env,
        "run": run._asdict(),
        "seed": seed,
        "env_steps": problem.env_steps,
        "usage": _usage(search),
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std(ddof=1)),
        "num_episodes": NUM_EPISODES,
    }
    write_json(folder / "record.json", record)
    print(f"{folder.name}: {record['return_mean']:.0f} with {record['usage']:.0%} of the edges")


def draw(env: str, path: Path) -> Path:
    """Draw return against usage: the way of each run, and where it ended."""
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    prefix = env.partition("-v")[0].lower()
    folders = [f for f in sorted(GROUP.glob(f"{prefix}-*")) if (f / "record.json").exists()]
    if not folders:
        raise SystemExit(f"there are no records of {env} in {GROUP}")
    for number, folder in enumerate(folders):
        record = json.loads((folder / "record.json").read_text())
        with (folder / "curve.csv").open(newline="") as file:
            curve = list(csv.DictReader(file))
        usage = _smoothed([100 * float(row["usage"]) for row in curve])
        returns = _smoothed([float(row["return_center"]) for row in curve])
        line = color(number)
        axes.plot(usage, returns, color=line, alpha=0.35, linewidth=0.8)
        axes.errorbar(
            100 * record["usage"], record["return_mean"], record["return_std"], color=line,
            marker="os^"[number // 8 % 3], capsize=3, label=folder.name.removeprefix(f"{prefix}-"),
        )  # fmt: skip
    axes.set(
        xlabel="edges in use, %", ylabel="return of an episode",
        title=f"{env}, two hidden layers of 41, weights and masks by ES",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save_figure(figure, path)


def _smoothed(values: list[float]) -> list[float]:
    """Return the means of about fifty blocks: a centre is evaluated four times only."""
    size = max(1, len(values) // 50)
    blocks = [values[start : start + size] for start in range(0, len(values), size)]
    return [sum(block) / len(block) for block in blocks]


if __name__ == "__main__":
    main()
