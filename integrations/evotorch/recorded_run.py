"""What a run's folder holds for a report: rows, snapshots, and the networks that they describe."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from structured_layers import metrics
from structured_layers.algorithms import EdgeCount, SearchSpace
from structured_layers.algorithms.search_spaces.network_space import topology_places
from structured_layers.errors import CheckpointError
from structured_layers.files import DAMAGE
from structured_layers.layers import ChromaticLinear
from structured_layers.policy import Policy, load_policy

from .dense_phase import FOLDER as DENSE
from .history import Snapshot, read_history
from .progress import ProgressFile
from .run_config import RunConfig
from .run_files import read_run_config
from .run_network import network_spec, seeded_network
from .solutions import network_of

Rows = list[dict[str, str]]

_UNREADABLE: tuple[type[Exception], ...] = (*DAMAGE, csv.Error)


@dataclass(frozen=True)
class RecordedRun:
    """A run as its folder records it.

    Attributes:
        folder: of the run.
        config: its settings.
        rows: of ``progress.csv``, at least one.
        phase_rows: of its dense phase, if it had one.
        snapshots: of its structures; runs of earlier versions and without a search have none.
        archive: size and return of the Pareto archive, if the run kept one.
        archive_name: what its sizes are.
    """

    folder: Path
    config: RunConfig
    rows: Rows
    phase_rows: Rows
    snapshots: list[Snapshot]
    archive: list[tuple[float, float]]
    archive_name: str

    @cached_property
    def policy(self) -> Policy:
        """The policy of the best centre."""
        return load_policy(self.folder)

    @property
    def title(self) -> str:
        """Where it learned, and how many weights."""
        return f"{self.config.env}: {metrics.summarize(self.policy.network).weights} weights"

    @property
    def start(self) -> int:
        """Environment steps before the search: those of the dense phase."""
        return int(self.phase_rows[-1]["env_steps"]) if self.phase_rows else self.config.dense_steps

    @cached_property
    def _network_and_space(self) -> tuple[nn.Module, SearchSpace | None]:
        return seeded_network(network_spec(self.config), self.config, seed=0)

    def networks(self) -> Iterator[nn.Module]:
        """Return the centre's network at each snapshot."""
        network, space = self._network_and_space
        for shot in self.snapshots:
            yield network_of(network, space, torch.cat([shot.weights, shot.decisions.float()]))

    def topologies(self) -> Tensor:
        """Return the entry of every edge at each snapshot, (S, E)."""
        _, space = self._network_and_space
        if space is None or not self.snapshots:
            return torch.empty(0, 0, dtype=torch.int64)
        decisions = torch.stack([shot.decisions for shot in self.snapshots])
        return space.decode(decisions)[:, self.edge_places]

    def random_topologies(self, count: int) -> Iterator[Tensor]:
        """Draw structures as the search space does, and return the entry of every edge, (E,)."""
        _, space = self._network_and_space
        generator = torch.Generator().manual_seed(0)
        if space is None:
            return
        for _ in range(count):
            yield space.decode(space.sample(1, generator))[0, self.edge_places]

    @property
    def may_lack_edges(self) -> bool:
        """Whether not all edges exist in every structure."""
        _, space = self._network_and_space
        return space is not None and EdgeCount(space).constant != len(self.edge_places)

    @cached_property
    def edge_places(self) -> Tensor:
        """Where edges lie in the topology vector, (E,); the rest are activations of units."""
        places = topology_places(self._network_and_space[0])
        found = [*places.get("colors", ()), *places.get("mask", ())]
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)

    @cached_property
    def layer_sizes(self) -> list[int]:
        """How many edges each layer has."""
        places = topology_places(self._network_and_space[0])
        return [len(part) for part in (*places.get("colors", ()), *places.get("mask", ()))]

    @cached_property
    def num_colors(self) -> int | None:
        """The size of the palette, None without one."""
        layers = [m for m in self._network_and_space[0].modules() if isinstance(m, ChromaticLinear)]
        return layers[0].values.numel() if layers else None


def read_run(folder: Path) -> RecordedRun:
    """Read what a run recorded.

    Raises:
        CheckpointError: not a run, one without a finished generation, or damaged files.
    """
    config = read_run_config(folder)
    rows = ProgressFile(folder / "progress.csv").read()
    phase = folder / DENSE
    phase_rows = ProgressFile(phase / "progress.csv").read() if phase.is_dir() else []
    if not rows:
        now = f"; its dense phase is the run {phase}" if phase_rows else ""
        raise CheckpointError(
            f"{folder} has no finished generation yet; train or resume it first{now}"
        )
    archive_name, archive = _read_archive(folder / "pareto.csv")
    snapshots = read_history(folder, until=int(rows[-1]["generation"]))
    return RecordedRun(folder, config, rows, phase_rows, snapshots, archive, archive_name)


def _read_archive(path: Path) -> tuple[str, list[tuple[float, float]]]:
    """Return what the sizes are, and size and return of each structure."""
    if not path.is_file():
        return "", []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            return "", []
        (name,) = (column for column in rows[0] if column not in ("return", "generation"))
        return name, [(float(row[name]), float(row["return"])) for row in rows]
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} is no Pareto archive: {error}") from error
