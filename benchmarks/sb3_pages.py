"""What the Stable-Baselines3 records write into the pages: marked parts by name."""

from __future__ import annotations

import json
from pathlib import Path

from sb3_records import (
    FIXED_COLORS,
    HIGHER_RATE,
    MASKED,
    SWEEP,
    Record,
    read_sb3_records,
    read_sweep,
)
from sb3_sentences import (
    cartpole_sentences,
    difference_sentences,
    gain_sentences,
    goal_sentences,
    model_sentences,
    overhead_sentences,
    paper_sentences,
    rate_sentences,
    scratch_sentences,
    sweep_sentences,
)
from sb3_tables import colors_table, overhead_table, sweep_table, training_table

Parts = dict[str, list[str]]
SUMMARY = ("dense", *(f"chromatic-{colors}" for colors in (17, 8, 5, 3, 2)))
PICTURES = {
    "sb3_sweep.png": (f"{SWEEP}/return_against_bits.png", "Return against bits of the sweep"),
    "sb3_frontier.png": ("frontier.png", "Return against bits, trained from scratch"),
}


def readme_parts(results: Path) -> Parts:
    """Return the parts of the README."""
    sweep = read_sweep(results)
    compressed = [] if sweep is None else [*model_sentences(sweep), *sweep_table(sweep, SUMMARY)]
    scratch = scratch_sentences(read_sb3_records(results))
    return {"compression": [*compressed, *scratch] or ["Nothing is recorded yet.", ""]}


def how_small_parts(results: Path) -> Parts:
    """Return the parts of the page 'How small can my policy go?'."""
    records, sweep = read_sb3_records(results), read_sweep(results)
    fixed, faster = read_sweep(results, FIXED_COLORS), read_sweep(results, HIGHER_RATE)
    overhead = read_json(results / "sb3_overhead.json")
    small = {
        task: [*training_table(records, task), *difference_sentences(records, task)]
        for task in ("pendulum", "mountaincar")
    }
    return {
        "model": model_sentences(sweep),
        "sweep": [*printed(sweep), *sweep_sentences(sweep)],
        "masked": printed(read_sweep(results, MASKED)),
        "picture": picture(results, "sb3_sweep.png"),
        "colors": [
            *colors_table(sweep, fixed),
            *gain_sentences(sweep, fixed),
            *goal_sentences(sweep),
        ],
        "rate": [*rate_sentences(faster), *colors_table(faster), *goal_sentences(faster)],
        "paper": paper_sentences(sweep),
        "scratch": [
            *training_table(records, "halfcheetah"),
            *scratch_sentences(records),
            *picture(results, "sb3_frontier.png"),
        ],
        "cartpole": [*training_table(records, "cartpole"), *cartpole_sentences(records)],
        **small,
        "overhead": [*overhead_table(overhead), *overhead_sentences(overhead)],
    }


def read_json(path: Path) -> Record | None:
    """Return a record of its own file, None if there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def printed(sweep: Record | None) -> list[str]:
    """Return what a sweep prints at its end."""
    if sweep is None:
        return []
    # Only here, since it takes seconds to load.
    from structured_layers.integrations.sb3.sweep_results import read_sweep as read_results

    return ["```", str(read_results(sweep["folder"])), "```", ""]


def picture(results: Path, name: str) -> list[str]:
    """Return the line that shows a picture, if there is one."""
    source, caption = PICTURES[name]
    return [f"![{caption}](assets/{name})", ""] if (results / "sb3" / source).exists() else []


def pictures(results: Path) -> dict[str, bytes]:
    """Return the pictures that there are, by their names among the assets."""
    paths = {name: results / "sb3" / source for name, (source, _) in PICTURES.items()}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}
