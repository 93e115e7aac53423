"""The tables at the start and at the end of a run."""

from __future__ import annotations

from rich.table import Table

from structured_layers.metrics import summarize
from structured_layers.plots.network_graph import count_edges

from ..evotorch.report import Summary, weights_in_words
from ..evotorch.run import Run


def start_table(run: Run) -> Table:
    """Return what a run trains, and among how many structures it searches."""
    spec, space, network = run.spec, run.problem.search_space, run.problem.network
    sizes = " → ".join(map(str, (spec.in_features, *spec.hidden, spec.out_features)))
    table = Table(title=f"{run.config.env}, {run.config.structure}", show_header=False)
    table.add_row("network", sizes + (", edges skip layers" if spec.skip else ""))
    weights = weights_in_words(summarize(network), count_edges(network))
    if run.config.structure == "edge-mask":
        shared = "" if spec.num_colors is None else f"{spec.num_colors} on "
        weights = f"{shared}up to {spec.num_edges} of {spec.num_edges} edges"
    table.add_row("weights", weights)
    if space is not None:
        table.add_row("structures to choose from", f"10^{space.log10_size:.1f}")
    return table


def policy_table(summary: Summary) -> Table:
    """Return what a policy weighs and what it reaches."""
    size = summary.size
    table = Table(title=f"{summary.env}, {summary.structure}", show_header=False)
    table.add_row("weights", summary.weights)
    table.add_row("biases", str(size.biases))
    table.add_row("compression", f"{size.compression:.1%}")
    table.add_row("compression (as the papers count)", f"{size.paper_compression:.1%}")
    table.add_row("bits (as the papers count)", f"{size.bits['paper']:,}")
    table.add_row(
        f"return over {summary.num_episodes} fresh episodes",
        f"{summary.return_mean:.1f} ± {summary.return_std:.1f}",
    )
    table.add_row("environment steps", f"{summary.env_steps:,}")
    table.add_row("training time", f"{summary.seconds:.0f} s")
    return table
