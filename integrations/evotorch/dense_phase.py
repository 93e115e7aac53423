"""The phase of a run that comes before the search for a structure: the dense network learns.

It is a run of its own in the folder ``dense`` of the run, and resumes as every run does. Its steps
count in the total of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from structured_layers.errors import CheckpointError

from .initial_policy import begin_at, read_initial_policy
from .run_config import RunConfig
from .run_network import network_spec
from .workers import Workers

if TYPE_CHECKING:
    from .run import Run

FOLDER = "dense"

# What the two phases share; the rest is about structures, or about where the second one starts.
_SHARED = (
    "env", "env_config", "hidden", "output_bias", "seed", "popsize", "center_evaluations", "stdev",
    "learning_rate", "optimizer", "ranking_method", "observation_normalization", "num_episodes",
    "estimator", "directions", "num_top", "top_rule", "slope", "weight_decay",
    "learning_rate_schedule", "learning_rate_final", "stdev_schedule", "stdev_final",
    "alive_bonus", "zero_init",
)  # fmt: skip


def dense_config(config: RunConfig) -> RunConfig:
    """Return the settings of the dense phase; schedules run over each phase by itself."""
    shared = {field.name: getattr(config, field.name) for field in fields(RunConfig)}
    kept: dict[str, Any] = {name: shared[name] for name in _SHARED}
    kept["total_steps"] = config.dense_steps
    if config.structure == "edges":
        kept["num_edges"] = config.num_edges
    elif config.dense_share < 1:
        kept["num_edges"] = max(1, round(config.dense_share * network_spec(config).num_edges))
    else:
        return RunConfig(**kept, structure="dense")
    return RunConfig(**kept, structure="edges", controller="magnitude")


def train_dense_phase(
    run: Run,
    workers: Workers,
    checkpoint_every: int,
    on_generation: Callable[[dict[str, Any]], None] | None,
    should_stop: Callable[[], bool],
) -> bool:
    """Train the dense network, or go on with it, then let the run start at its policy.

    Nothing happens in a run without a dense phase, or behind it.

    Args:
        run: whose phase it is.
        workers: who evaluates.
        checkpoint_every: as in ``Run.train``.
        on_generation: as in ``Run.train``.
        should_stop: as in ``Run.train``.

    Returns:
        Whether the phase is over; if not, it was stopped.

    Raises:
        CheckpointError: the folder holds a run of other settings.
    """
    if not run.config.dense_steps or run.generation:
        return True
    dense = _open_phase(run, workers)
    try:
        dense.train(
            checkpoint_every=checkpoint_every,
            on_generation=on_generation,
            should_stop=should_stop,
        )
    finally:
        dense.close()
    if not dense.finished:
        return False
    begin_at(read_initial_policy(dense.folder), run.problem, run.search)
    run.problem.env_steps = dense.problem.env_steps
    return True


def _open_phase(run: Run, workers: Workers) -> Run:
    """Create the run of the dense phase, or go on with it."""
    folder, config = run.folder / FOLDER, dense_config(run.config)
    if not folder.exists():
        return type(run).create(folder, config, **workers)
    dense = type(run).resume(folder, **workers)
    if dense.config != config:
        dense.close()
        raise CheckpointError(
            f"{folder} holds a run of other settings than {run.folder} needs for its dense "
            "phase; remove it to train the dense network anew"
        )
    return dense
