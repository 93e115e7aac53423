"""Train a policy and keep it as a record under benchmarks/results/.

    python benchmarks/record_run.py NAME -- train HalfCheetah-v5 --num-colors 17 …

A record holds the command, the commit, versions, the machine, the seed, steps, wall time, the
curve, the trained policy and its return over 100 fresh episodes. A run that was interrupted goes on
when the same line is given again. With ``--group searches`` the record goes into that folder of
benchmarks/results/, without pictures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

from machine import RESULTS, ROOT, describe_origin

from structured_layers import load_policy
from structured_layers.files import write_json
from structured_layers.integrations.cli import main as structured_layers
from structured_layers.integrations.evotorch.evaluation import evaluate_policy
from structured_layers.integrations.evotorch.run_files import read_run_config
from structured_layers.metrics import summarize

NUM_EPISODES = 100


def main() -> int:
    """Train, evaluate and write the record."""
    parser = argparse.ArgumentParser(description="Train a policy and keep it as a record.")
    parser.add_argument("name", help="folder of the record under benchmarks/results/")
    parser.add_argument("--group", help="folder between these two, whose records have no pictures")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- train ENV …")
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if command[:1] != ["train"]:
        parser.error("after NAME comes: -- train ENV …")
    run = ROOT / "runs" / args.name
    start_file = run.with_name(f"{args.name}.start.json")
    if (run / "config.json").exists() and start_file.exists():
        code = structured_layers(["resume", str(run), *_actors(command)])
    else:
        run.parent.mkdir(exist_ok=True)
        write_json(start_file, describe_origin(" ".join(["structured-layers", *command])))
        code = structured_layers([*command, "--out", str(run)])
    if code == 0:
        folder = RESULTS / (args.group or "") / args.name
        write_record(folder, run, json.loads(start_file.read_text()), pictures=not args.group)
        start_file.unlink()
    return code


def write_record(folder: Path, run: Path, start: dict[str, Any], *, pictures: bool) -> None:
    """Evaluate a finished run and write its record."""
    policy = load_policy(run)
    returns = evaluate_policy(policy, num_episodes=NUM_EPISODES)
    rows = (run / "progress.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    size = summarize(policy.network)
    config = read_run_config(run)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / "progress.csv", folder / "progress.csv")
    policy.save(folder / "policy")
    for picture in (run / "report").glob("*.png") if pictures else ():
        shutil.copy(picture, folder / picture.name)
    record = {
        **start,
        "env": config.env,
        "structure": config.structure,
        "hidden": list(config.hidden),
        "seed": config.seed,
        "env_steps": int(last["env_steps"]),
        "env_steps_before": steps_before(config.init_from),
        "training_seconds": float(last["seconds"]),
        "weights": size.weights,
        "biases": size.biases,
        "dense_weights": size.dense_weights,
        "compression": size.compression,
        "paper_compression": size.paper_compression,
        "bits": size.bits,
        "num_episodes": NUM_EPISODES,
        "return_mean": float(returns.mean()),
        "return_std": float(returns.std()),
        "return_min": float(returns.min()),
        "return_max": float(returns.max()),
    }
    write_json(folder / "record.json", record)
    print(json.dumps(record, indent=2))


def steps_before(init_from: str | None) -> int:
    """Return the steps of the run whose policy another run started at, and of those before it."""
    if init_from is not None and (ROOT / init_from).is_file():  # of Stable-Baselines3
        with zipfile.ZipFile(ROOT / init_from) as model:
            return int(json.loads(model.read("data"))["num_timesteps"])
    if init_from is None or not (ROOT / init_from / "progress.csv").exists():
        return 0
    names, *rows = (ROOT / init_from / "progress.csv").read_text().splitlines()
    steps = dict(zip(names.split(","), rows[-1].split(","), strict=True))["env_steps"]
    return int(steps) + steps_before(read_run_config(ROOT / init_from).init_from)


def _actors(command: list[str]) -> list[str]:
    if "--num-actors" not in command:
        return []
    place = command.index("--num-actors")
    return command[place : place + 2]


if __name__ == "__main__":
    sys.exit(main())
