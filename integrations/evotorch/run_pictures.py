"""The pictures of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from structured_layers import metrics
from structured_layers.errors import MissingDependencyError
from structured_layers.layers import StructuredLinear
from structured_layers.plots import (
    plot_best_per_interval,
    plot_edge_frequencies,
    plot_learning_curve,
    plot_network_graph,
    plot_over_steps,
    plot_return_against_edges,
    plot_weights,
)
from structured_layers.plots.network_graph import count_edges
from structured_layers.plots.over_steps import Panel

from .recorded_run import RecordedRun

MAX_EDGES_OF_GRAPH = 300
"""The most edges of a network that is drawn as a graph; more of them hide each other."""

NUM_RANDOM_STRUCTURES = 1000
"""Structures that are drawn to see what chance gives."""


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows."""

    path: Path
    title: str
    caption: str


def draw_run(run: RecordedRun, folder: Path) -> Iterator[Picture]:
    """Draw all pictures that a run has the records for into a folder, one after the other.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    yield from _draw_returns(run, folder)
    yield from _draw_network(run, folder)
    if run.snapshots and run.layer_sizes:
        yield _draw_frequencies(run, folder)
        yield from _draw_structure(run, folder)


def _draw_returns(run: RecordedRun, folder: Path) -> Iterator[Picture]:
    path = folder / "learning_curve.png"
    plot_learning_curve(run.rows, path, title=run.title, phase_rows=run.phase_rows)
    yield Picture(
        path, "Learning curve",
        "Returns of the generations. The centre is what is saved; each candidate is the centre "
        "plus noise. Bars, or ticks at the foot, are updates of the controller.",
    )  # fmt: skip
    curves = {"best candidate": (run.rows, "return_best"), "centre": (run.rows, "return_center")}
    path = folder / "best_per_interval.png"
    yield Picture(
        plot_best_per_interval(
            curves, path, starts=dict.fromkeys(curves, run.start), title=run.title
        ),
        "Best of each interval", "The highest returns in each twentieth of the environment steps "
        "of the search. The best of many noisy candidates is too good to be true.",
    )  # fmt: skip
    if len({row["num_weights"] for row in run.rows}) > 1 or run.archive:
        yield _draw_sizes(run, folder)


def _draw_sizes(run: RecordedRun, folder: Path) -> Picture:
    label = run.archive_name or "edges of the centre"
    points = [(float(row["num_weights"]), float(row["return_center"])) for row in run.rows]
    are_edges = label.startswith("edges") and run.num_colors is None  # not colours or bits
    path = plot_return_against_edges(
        points if are_edges else [], folder / "return_against_edges.png",
        archive=run.archive, size_label=label, title=run.title,
    )  # fmt: skip
    archive = "The candidates that no other one beats in both return and cost."
    if not are_edges:
        return Picture(path, "Return against cost", archive)
    caption = "The centre of every generation."
    return Picture(path, "Return against edges", f"{caption} {archive}" if run.archive else caption)


def _draw_network(run: RecordedRun, folder: Path) -> Iterator[Picture]:
    network = run.policy.network
    yield Picture(
        plot_weights(network, folder / "weights.png", title=run.title), "Weights of the policy",
        "Inputs across, outputs down. Edges of one colour share one weight; without shared weights "
        "the colour is the value. White edges do not exist.",
    )  # fmt: skip
    if count_edges(network) <= MAX_EDGES_OF_GRAPH:
        yield Picture(
            plot_network_graph(network, folder / "graph.png", title=run.title),
            "Graph of the policy", "Lines are as wide as their weights are large.",
        )  # fmt: skip


def _draw_frequencies(run: RecordedRun, folder: Path) -> Picture:
    shares = np.stack([shot.shares[run.edge_places].numpy() for shot in run.snapshots])
    if run.num_colors is None:  # p is the share of the value 1 or one less it, which is the same
        shares, label = 2 * np.abs(shares - 0.5), "2 |p − ½|"
        caption = "p is the share of the candidates since the last snapshot that have the edge."
    else:
        label = "share of the commonest colour"
        caption = (
            "How many of the candidates since the last snapshot agree on the colour of an edge; "
            f"there are {run.num_colors} colours."
        )
        if run.may_lack_edges:
            caption += " That an edge is missing counts as one more."
    steps = [shot.env_steps for shot in run.snapshots]
    path = folder / "edge_frequencies.png"
    plot_edge_frequencies(
        steps, shares, path, label=label, layer_sizes=run.layer_sizes, start=run.start,
        title=run.title,
    )  # fmt: skip
    return Picture(path, "What the controller agrees on", caption)


def _draw_entropies(run: RecordedRun, folder: Path) -> Picture:
    random = run.random_topologies(NUM_RANDOM_STRUCTURES)
    chance = [metrics.partition_entropy(colors) for colors in random]
    low, high = (float(q) for q in np.quantile(chance, (0.025, 0.975)))
    lines = {"best colouring": [metrics.partition_entropy(colors) for colors in run.topologies()]}
    panel = Panel("entropy (bits)", lines, (low, high), "95 % of random structures")
    steps = [shot.env_steps for shot in run.snapshots]
    path = plot_over_steps(steps, [panel], folder / "entropies.png", title=run.title)
    caption = (
        "The entropy of how many edges have which colour, against that of structures drawn at "
        "random from the search space."
    )
    if run.may_lack_edges:
        caption += " Missing edges count as one more colour."
    return Picture(path, "Entropy of the colouring", caption)


def _draw_structure(run: RecordedRun, folder: Path) -> Iterator[Picture]:
    """Draw entropies, displacement ranks and the way from one structure to the next."""
    steps, structures = [shot.env_steps for shot in run.snapshots], run.topologies()
    if run.num_colors is not None:
        yield _draw_entropies(run, folder)
    yield Picture(
        plot_over_steps(steps, _ranks(run), folder / "displacement_ranks.png", title=run.title),
        "Displacement ranks", "Of the weight matrices of the centre, entries of the displacement "
        "below 0.1 taken for zero. A Toeplitz matrix has at most rank 2 with the first operators, "
        "a sum of a Toeplitz and a Hankel matrix at most 4 with the second ones.",
    )  # fmt: skip
    if len(steps) > 1:
        yield Picture(
            plot_over_steps(
                steps[1:], _changes(run, structures), folder / "structure_changes.png",
                title=run.title,
            ),
            "From one structure to the next", "The controller's best structure against the one of "
            "the snapshot before. The first two measures of a colouring do not change when its "
            "colours are renamed.",
        )  # fmt: skip


def _ranks(run: RecordedRun) -> list[Panel]:
    weights = [
        [m.weight.detach() for m in network.modules() if isinstance(m, StructuredLinear)]
        for network in run.networks()
    ]
    panels: list[Panel] = []
    for operators, name in (("toeplitz", "Toeplitz"), ("toeplitz_hankel", "Toeplitz–Hankel")):
        lines = {
            f"layer {number + 1}, {' × '.join(map(str, weights[0][number].shape))}": [
                float(metrics.displacement_rank(matrices[number], operators))
                for matrices in weights
            ]
            for number in range(len(weights[0]))
        }
        panels.append(Panel(f"rank, {name}", lines, whole=True))
    return panels


def _changes(run: RecordedRun, structures: Tensor) -> list[Panel]:
    measures: dict[str, Callable[[Tensor, Tensor], float]] = {
        "edges that changed": metrics.recolored_edges
    }
    if run.num_colors is not None:
        measures = {
            "Rand index": metrics.rand_index,
            "variation of\ninformation (bits)": metrics.variation_of_information,
            "edges recoloured": metrics.recolored_edges,
        }
    panels: list[Panel] = []
    for name, measure in measures.items():
        pairs = zip(structures[:-1], structures[1:], strict=True)
        try:
            values = [float(measure(*pair)) for pair in pairs]
            panels.append(Panel(name, {name: values}, whole=name.startswith("edges")))
        except MissingDependencyError:  # the Rand index is scikit-learn's; the rest can be drawn
            continue
    return panels
