"""The table of a policy at the end of a run."""

from __future__ import annotations

from rich.table import Table

from ..evotorch.report import Summary


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
