"""Comparing the folders of runs."""

import csv
import json

import torch

from structured_layers.algorithms.checkpoints import read_checkpoint


def snapshot(folder):
    """The bytes of every file below a folder, by name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# The settings that a run of version 1 wrote down.
OLD_SETTINGS = (
    "env", "structure", "hidden", "num_colors", "num_edges", "controller",
    "controller_population", "output_bias", "total_steps", "seed", "popsize",
    "center_evaluations", "stdev", "learning_rate", "optimizer", "ranking_method",
    "observation_normalization", "num_episodes",
)  # fmt: skip


def make_old(folder):
    """Turn a run's settings into those of version 1."""
    path = folder / "config.json"
    data = json.loads(path.read_text())
    config = {name: data["config"][name] for name in OLD_SETTINGS}
    path.write_text(json.dumps({**data, "version": 1, "config": config}))


def assert_same_run(one, other):
    """The same progress but for the time it took, and the same bits in checkpoint and policy."""
    assert _progress(one) == _progress(other)
    assert snapshot(one / "history") == snapshot(other / "history")
    states = [read_checkpoint(folder / "checkpoint") for folder in (one, other)]
    for state in states:
        del state["seconds"], state["progress"]  # where the times end in progress.csv
    _assert_same_tree(*states)
    assert snapshot(one / "policy") == snapshot(other / "policy")


def _progress(folder):
    with (folder / "progress.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def _assert_same_tree(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_same_tree(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    else:
        assert one == other
