"""What a run remembers of its structures: about a hundred snapshots, each a file of its own.

A snapshot of a network of 943 edges has 8 kB, so a run has about 0.8 MB of them, however long it
is. A snapshot is written once, within the generation that it belongs to; a run that is killed and
resumed drops those after its checkpoint and writes the same ones again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from structured_layers.algorithms import SearchSpace
from structured_layers.errors import CheckpointError
from structured_layers.files import DAMAGE, read_tensors, write_tensors

FOLDER = "history"

NUM_SNAPSHOTS = 100
"""Snapshots of a whole run, beside the one of its first generation."""

_NAME = re.compile(r"snapshot-(\d{8,18})\.safetensors")


@dataclass(frozen=True)
class Snapshot:
    """A run's structures at one moment.

    Attributes:
        generation: how many were finished.
        env_steps: environment steps so far.
        weights: of the centre, (d,).
        decisions: the structure (K,) that the controller held to be the best.
        values: the entry of the topology vector, for each of its T places, that was proposed most
            often since the last snapshot; -1 counts as the last value of the space.
        shares: of the proposals that had it, (T,).
    """

    generation: int
    env_steps: int
    weights: Tensor
    decisions: Tensor
    values: Tensor
    shares: Tensor


class History:
    """Counts what is proposed for every edge, and writes the snapshots.

    Args:
        folder: of the run.
        space: of its structures.
        total_steps: of the run.
    """

    def __init__(self, folder: Path, space: SearchSpace, total_steps: int) -> None:
        """Begin with nothing counted."""
        self.folder, self.space, self.total_steps = folder / FOLDER, space, total_steps
        self._counts = torch.zeros(space.num_edges, space.num_values, dtype=torch.int32)
        self._next = 0

    def observe(self, decisions: Tensor) -> None:
        """Count the proposals (n, K) of a generation."""
        # an edge left out, -1, counts as the last value
        values = self.space.decode(decisions) % self.space.num_values  # (n, T)
        ones = torch.ones_like(values.T, dtype=torch.int32)
        self._counts.scatter_add_(1, values.T, ones)

    def take(self, generation: int, env_steps: int, weights: Tensor, decisions: Tensor) -> None:
        """Write a snapshot if one is due: at first, and every hundredth of the run's steps."""
        interval = 1 + env_steps * NUM_SNAPSHOTS // self.total_steps
        if interval <= self._next:
            return
        counts, values = self._counts.max(dim=1)
        self.folder.mkdir(exist_ok=True)
        write_tensors(
            self.folder / f"snapshot-{generation:08d}.safetensors",
            {
                "generation": torch.tensor(generation),
                "env_steps": torch.tensor(env_steps),
                "weights": weights.float(),
                "decisions": decisions.int(),
                "values": values.short(),
                "shares": (counts / self._counts.sum(dim=1)).half(),
            },
        )
        self._next = interval
        self._counts.zero_()

    def drop_after(self, generation: int) -> None:
        """Remove the snapshots of later generations than this one."""
        for path in _paths(self.folder, after=generation):
            path.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, and which interval of the run comes next."""
        return {"counts": self._counts.clone(), "next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        if state["counts"].shape != self._counts.shape:
            raise CheckpointError(
                f"the history counts proposals of {tuple(self._counts.shape)} edges and values, "
                f"the state has {tuple(state['counts'].shape)}"
            )
        self._counts, self._next = state["counts"].clone(), int(state["next"])


def read_history(folder: Path, *, until: int) -> list[Snapshot]:
    """Return the snapshots of the run in ``folder``, in order; none of a run that has none.

    Args:
        folder: of the run.
        until: the last generation that counts.

    Raises:
        CheckpointError: a snapshot is damaged.
    """
    later = set(_paths(folder / FOLDER, after=until))
    return [_read(path) for path in _paths(folder / FOLDER) if path not in later]


def _paths(folder: Path, after: int = 0) -> list[Path]:
    """Return the files of snapshots after a generation, in order."""
    numbers = {path: _NAME.fullmatch(path.name) for path in folder.glob("snapshot-*.safetensors")}
    found = sorted((int(match[1]), path) for path, match in numbers.items() if match)
    return [path for number, path in found if number > after]


def _read(path: Path) -> Snapshot:
    tensors = read_tensors(path)
    try:
        return Snapshot(
            generation=int(tensors["generation"]),
            env_steps=int(tensors["env_steps"]),
            weights=tensors["weights"],
            decisions=tensors["decisions"].long(),
            values=tensors["values"].long(),
            shares=tensors["shares"].float(),
        )
    except DAMAGE as error:
        raise CheckpointError(f"{path} is no snapshot of a run: {error}") from error
