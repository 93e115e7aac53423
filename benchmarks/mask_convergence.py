"""Does the policy gradient converge to one mask? Swimmer, a linear policy, a mask of 8 × 2 edges.

    python benchmarks/mask_convergence.py

Trains three seeds, as in section 5.7 of ES-ENAS, and goes on where it was stopped. p is the share
of the proposals that have an edge; 2|p − ½| is 1 once all of them agree on it. Writes
benchmarks/results/mask_convergence.json and the picture docs/assets/mask_convergence.png.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from machine import RESULTS, ROOT, describe_origin

from structured_layers.files import write_json
from structured_layers.integrations.cli import main as structured_layers
from structured_layers.integrations.evotorch.recorded_run import read_run
from structured_layers.plots.figure import color, new_figure, save_figure

SEEDS = (0, 1, 2)
CONVERGED = 0.9  # of the mean of 2|p − ½| over the edges
COMMAND = (
    "train Swimmer-v5 --structure edge-mask --hidden 0 --controller policy-gradient "
    "--no-observation-normalization"
)


def train(seed: int, folder: Path, options: list[str], actors: list[str]) -> None:
    """Train one seed, or go on with it."""
    if (folder / "config.json").exists():
        code = structured_layers(["resume", str(folder), *actors])
    else:
        words = [*shlex.split(COMMAND), "--seed", str(seed), *options, *actors]
        code = structured_layers([*words, "--out", str(folder)])
    if code:
        raise SystemExit(code)


def describe(folder: Path) -> dict[str, Any]:
    """Return what a run agreed on over time, and what it reached."""
    run = read_run(folder)
    shares = np.stack([shot.shares[run.edge_places].numpy() for shot in run.snapshots])
    return {
        "steps": [shot.env_steps for shot in run.snapshots],
        "certainty": (2 * np.abs(shares.astype(float) - 0.5)).round(4).tolist(),  # (S, 16)
        "mask": run.topologies()[-1].tolist(),
    }


def draw(seeds: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the mean over the edges of each seed, and every edge below."""
    figure = new_figure(3.4 * len(seeds), 4.6)
    rows = figure.subplots(2, len(seeds), squeeze=False, sharex="col", height_ratios=(1, 2))
    for number, (seed, found) in enumerate(seeds.items()):
        steps, certainty = np.array(found["steps"]) / 1e6, np.array(found["certainty"])
        top, bottom = rows[0][number], rows[1][number]
        top.plot(steps, certainty.mean(axis=1), color=color(0))
        top.set(title=f"seed {seed}", ylim=(0, 1.02))
        borders = np.arange(certainty.shape[1] + 1)
        image = bottom.pcolormesh([0, *steps], borders, certainty.T, cmap="viridis", vmin=0, vmax=1)
        bottom.set(xlabel="million env steps")
        bottom.invert_yaxis()
    rows[0][0].set(ylabel="mean")
    rows[1][0].set(ylabel="edge")
    figure.colorbar(image, ax=rows, label="2 |p − ½|")
    save_figure(figure, path)


def main() -> None:
    """Train, write the record and draw the picture."""
    parser = argparse.ArgumentParser(description="Convergence of the policy gradient to a mask.")
    parser.add_argument("--total-steps", type=int, default=5_000_000, help="of each seed")
    parser.add_argument("--popsize", type=int, default=100)
    parser.add_argument("--num-actors", default="2")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "mask_convergence")
    parser.add_argument("--out", type=Path, default=RESULTS / "mask_convergence.json")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "docs" / "assets" / "mask_convergence.png"
    )
    args = parser.parse_args()
    options = ["--total-steps", str(args.total_steps), "--popsize", str(args.popsize)]
    origin = describe_origin("python benchmarks/mask_convergence.py " + " ".join(options))
    for seed in SEEDS:
        train(seed, args.runs / str(seed), options, ["--num-actors", args.num_actors])
    seeds = {str(seed): describe(args.runs / str(seed)) for seed in SEEDS}
    write_json(args.out, {**origin, "seeds": seeds})
    draw(seeds, args.picture)


if __name__ == "__main__":
    main()
