"""Environment steps to a return of 1,000 and 2,500 on Hopper-v5: codes against weights.

    python benchmarks/latent_evolution.py --list
    python benchmarks/latent_evolution.py --autoencoder runs/autoencoder
    python benchmarks/latent_evolution.py --only es ga --seeds 0     # these need no autoencoder
    python benchmarks/latent_evolution.py --draw                     # the picture of the records

Every 20,000 environment steps, the centre of an ES or the elite of a GA is evaluated over 10 fresh
episodes, the alive bonus included; these steps are a measurement and do not count. A run that was
interrupted goes on when it is started again, and one whose record exists is left alone. A record
is the curve, the steps to each goal, wall time, the policy, and its return over 100 fresh episodes.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from folder_digest import folder_digest
from latent_evolution_methods import ENV, METHODS, make_search, needs_autoencoder
from machine import RESULTS, ROOT, describe_origin
from planned_records import open_runs

from structured_layers import to_dense
from structured_layers.algorithms import ES, GA
from structured_layers.algorithms.checkpoints import read_checkpoint, write_checkpoint
from structured_layers.algorithms.latent import PolicyZoo
from structured_layers.files import write_bytes, write_json
from structured_layers.integrations.evotorch import PolicyProblem
from structured_layers.integrations.evotorch.evaluation import evaluate_policy
from structured_layers.plots.figure import color, new_figure, save_figure
from structured_layers.plots.learning_curve import label_steps
from structured_layers.policy import Policy
from structured_layers.sequential_spec import SequentialSpec

GROUP = RESULTS / "latent_evolution"
RUNS = ROOT / "runs" / "latent_evolution"
PICTURE = ROOT / "docs" / "assets" / "latent_evolution.png"
ZOO = ROOT / "benchmarks" / "data" / "hopper_zoo.safetensors"
GOALS = (1_000, 2_500)
EVALUATE_EVERY = 20_000
FRESH_SEED = 1_000_000  # of evaluations; training takes small ones
LABELS = {
    "mean": "from the mean network", "normal": "from N(0, 1) codes", "fresh": "from fresh weights",
}  # fmt: skip
Rows = list[list[float]]


def main() -> None:
    """List, draw or run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--total-steps", type=int, default=1_000_000)
    parser.add_argument("--num-episodes", type=int, default=100, help="of the last evaluation")
    parser.add_argument("--autoencoder", type=Path, help="folder of a NetworkAutoencoder")
    parser.add_argument("--zoo", type=Path, default=ZOO)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--draw", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.draw:
        print(draw(GROUP, PICTURE))
        return
    for name, method, seed in open_runs(GROUP, args.only, args.seeds):
        if not args.list:
            run(name, method, seed, args)


def run(name: str, method: str, seed: int, args: argparse.Namespace) -> None:
    """Search, from the checkpoint if there is one, and write the record."""
    zoo = PolicyZoo.load(args.zoo)
    autoencoder = args.autoencoder if needs_autoencoder(METHODS[method]) else None
    problem, search = make_search(METHODS[method], seed, zoo, autoencoder)
    origin = {"total_steps": args.total_steps, "autoencoder": folder_digest(autoencoder)}
    rows, seconds = _resume(RUNS / name, search, origin)
    if not rows:
        rows.append(_evaluated(problem, search, 0))
    while problem.env_steps < args.total_steps:
        began = time.perf_counter()
        goal = min((problem.env_steps // EVALUATE_EVERY + 1) * EVALUATE_EVERY, args.total_steps)
        while problem.env_steps < goal:
            search.step()
        seconds += time.perf_counter() - began
        rows.append(_evaluated(problem, search, len(rows)))
        state = {"search": search.state_dict(), "rows": rows, "seconds": seconds, **origin}
        write_checkpoint(RUNS / name, state, number=search.step_count)
    measured = {
        "method": method,
        **METHODS[method]._asdict(),
        "seed": seed,
        "seconds": seconds,
        "trained_values": int(problem.solution_length),
        "zoo": _cost_of(zoo),
        "autoencoder": origin["autoencoder"],
    }
    _write_record(GROUP / name, _policy(problem, search), rows, measured, args)


def _resume(folder: Path, search: ES | GA, origin: dict[str, Any]) -> tuple[Rows, float]:
    """Take up the checkpoint of a run, if there is one; return its curve and seconds.

    A run of weights needs the autoencoder at its start only, but its record names it too.
    """
    if not (folder / "state.json").exists():
        return [], 0.0
    state = read_checkpoint(folder)
    if state["total_steps"] != origin["total_steps"]:
        raise SystemExit(f"{folder} is a run of {state['total_steps']} steps; remove it")
    if state["autoencoder"] != origin["autoencoder"]:
        raise SystemExit(f"{folder} is a run with another autoencoder; remove it")
    search.load_state_dict(state["search"])
    return [list(row) for row in state["rows"]], float(state["seconds"])


def _policy(problem: PolicyProblem, search: ES | GA) -> Policy:
    """Return the centre or the elite, its codes decoded."""
    solution = search.elite_solution() if isinstance(search, GA) else search.center_solution()
    policy = problem.to_policy(solution)
    network = to_dense(policy.network)
    return Policy(
        network,
        policy.actions,
        observation_mean=policy.observation_mean,
        observation_std=policy.observation_std,
        spec=SequentialSpec.of(network),
        env=policy.env,
        env_config=policy.env_config,
    )


def _evaluated(problem: PolicyProblem, search: ES | GA, number: int) -> list[float]:
    """Return a row of the curve: steps, mean and standard deviation of ten returns."""
    policy = _policy(problem, search)
    returns = evaluate_policy(policy, num_episodes=10, seed=FRESH_SEED + number)
    return [problem.env_steps, float(returns.mean()), float(returns.std(ddof=1))]


def steps_to(goal: float, rows: Rows) -> int | None:
    """Return the steps before the first evaluation that reached a return, None if none did."""
    return next((int(steps) for steps, mean, _ in rows if mean >= goal), None)


def _cost_of(zoo: PolicyZoo) -> dict[str, int]:
    """Return how many policies and runs a zoo has, and the steps that these took at least."""
    runs = zoo.runs.unique()  # type: ignore[no-untyped-call]
    steps = sum(int(zoo.env_steps[zoo.runs == run].max()) for run in runs)
    return {"policies": len(zoo), "runs": len(runs), "env_steps": steps}


def _write_record(
    folder: Path, policy: Policy, rows: Rows, measured: dict[str, Any], args: argparse.Namespace
) -> None:
    returns = evaluate_policy(policy, num_episodes=args.num_episodes, seed=FRESH_SEED - 1)
    lines = ["env_steps,return_mean,return_std"]
    lines += [f"{int(steps)},{mean:.6g},{std:.6g}" for steps, mean, std in rows]
    policy.save(folder / "policy")
    write_bytes(folder / "curve.csv", ("\n".join(lines) + "\n").encode())
    options = f"--only {measured['method']} --seeds {measured['seed']}"
    if measured["autoencoder"] is not None:
        options += f" --autoencoder {args.autoencoder}"
    script = "python benchmarks/latent_evolution.py"
    record = {
        **describe_origin(f"{script} {options} --total-steps {args.total_steps}"),
        "env": ENV,
        **measured,
        "env_steps": int(rows[-1][0]),
        "steps_to": {str(goal): steps_to(goal, rows) for goal in GOALS},
        "return_at_start": rows[0][1],
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std(ddof=1)),
        "num_episodes": args.num_episodes,
    }
    write_json(folder / "record.json", record)
    print(f"{folder.name}: {record['return_mean']:.0f}, {record['steps_to']}", flush=True)


def draw(group: Path, path: Path) -> Path:
    """Draw the median return over the seeds against environment steps, for ES and for GA."""
    curves = read_curves(group)
    if not curves:
        raise SystemExit(f"there are no records in {group}")
    figure = new_figure(10, 4.2)
    for axes, algorithm in zip(figure.subplots(1, 2, sharey=True), ("ES", "GA"), strict=True):
        for number, (name, method) in enumerate(METHODS.items()):
            if method.algorithm != algorithm or name not in curves:
                continue
            steps, lows, medians, highs = _spread(curves[name])
            hue, label = color(number % 4), f"{method.space}, {LABELS[method.start]}"
            axes.fill_between(steps, lows, highs, color=hue, alpha=0.15, linewidth=0)
            axes.plot(steps, medians, color=hue, label=label)
        for goal in GOALS:
            axes.axhline(goal, color="0.5", linewidth=0.8, linestyle=":")
        axes.set_title(f"{algorithm}, {ENV}")
        label_steps(axes)
        axes.legend(fontsize=8)
    figure.axes[0].set_ylabel("return of 10 episodes: median and range of the seeds")
    return save_figure(figure, path)


def read_curves(group: Path) -> dict[str, list[Rows]]:
    """Return the curves of the records by their methods, one for each seed."""
    curves: dict[str, list[Rows]] = {}
    for path in sorted(group.glob("*/record.json")):
        record = json.loads(path.read_text())
        with (path.parent / "curve.csv").open(newline="") as file:
            rows = [[float(value) for value in row.values()] for row in csv.DictReader(file)]
        curves.setdefault(record["method"], []).append(rows)
    return curves


def _spread(curves: list[Rows]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return steps, and the lowest, median and highest return there; evaluations go in step."""
    columns = list(zip(*curves, strict=False))
    values = [[row[1] for row in column] for column in columns]
    steps = [statistics.mean(row[0] for row in column) for column in columns]
    return steps, [min(v) for v in values], [statistics.median(v) for v in values], [
        max(v) for v in values
    ]  # fmt: skip


if __name__ == "__main__":
    main()
