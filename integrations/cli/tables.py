"""The tables at the start and at the end of a run."""

from __future__ import annotations

from rich.table import Table

from structured_layers.metrics import summarize

from ..evotorch.report import Summary
from ..evotorch.run import Run


def start_table(run: Run) -> Table:
    """Return what a run trains, and among how many structures it searches."""
    spec, space, size = run.spec, run.problem.search_space, summarize(run.problem.network)
    sizes = " → ".join(map(str, (spec.in_features, *spec.hidden, spec.out_features)))
    table = Table(title=f"{run.config.env}, {run.config.structure}", show_header=False)
    table.add_row("network", sizes + (", edges skip layers" if spec.skip else ""))
    if run.config.structure != "edge-mask" or spec.num_colors is not None:
        table.add_row("weights", f"{size.weights} of {size.dense_weights} edges")
    else:
        table.add_row("weights", f"up to {size.dense_weights} of {size.dense_weights} edges")
    if space is not None:
        table.add_row("structures to choose from", f"10^{space.log10_size:.1f}")
    return table


def policy_table(summary: Summary) -> Table:
    """Return what a policy weighs and what it reaches."""
    size = summary.size
    table = Table(title=f"{summary.env}, {summary.structure}", show_header=False)
    table.add_row("weights", f"{size.weights} of {size.dense_weights} edges")
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
