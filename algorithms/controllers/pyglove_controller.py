"""PyGlove's algorithms over the search spaces of this library."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import (
    CheckpointError,
    MissingDependencyError,
    StructuredLayersError,
)

from ..argument_checks import check_integer
from ..search_spaces import SearchSpace
from .base import Controller
from .decision_blocks import decision_blocks
from .good_structures import GoodStructures, row_keys


class PyGloveController(Controller):
    """Proposes what a DNA generator of PyGlove proposes, and feeds it the objectives.

    Only objectives of the structures that were proposed last reach the generator: its evolution
    takes no others. ``best`` counts all.

    A generator cannot be saved. The state is the history instead: how many structures were asked
    for, and the objectives. Loading it runs a fresh copy of the generator through that history,
    which takes as long as it took the first time, without the evaluations. The generator must have
    a seed for that.

    Args:
        space: what is decided.
        algorithm: a ``pyglove.DNAGenerator`` of one objective, such as
            ``pyglove.evolution.regularized_evolution(seed=0)``. It is copied.
        seed: there for uniformity; the generator has its own.

    Raises:
        MissingDependencyError: PyGlove is not installed.
    """

    def __init__(self, space: SearchSpace, algorithm: Any, *, seed: int | None = None) -> None:
        """Describe the space to a copy of the generator."""
        super().__init__(space, seed=seed)
        try:
            import pyglove
        except ImportError as error:
            raise MissingDependencyError("PyGloveController", "pyglove") from error
        if not isinstance(algorithm, pyglove.DNAGenerator) or algorithm.multi_objective:
            raise StructuredLayersError(
                f"algorithm must be a pyglove.DNAGenerator of one objective, got {algorithm!r}"
            )
        self._template = algorithm
        self._spec = _specification(space, pyglove)
        self._restart()

    def _restart(self) -> None:
        self._algorithm = self._template.clone(deep=True)
        self._algorithm.setup(self._spec)
        self.memory = GoodStructures(self.space.num_decisions)
        self._proposals: list[Any] = []  # the last ones, in their order
        self._waiting: dict[bytes, list[int]] = {}  # their rows, until they are observed
        self._checksum = 0  # of all proposals
        self._calls: list[int] = []  # n for a proposal of n, −n for the feedback to n
        self._fed: list[tuple[int, float]] = []  # row of the last proposals, and its objective

    def propose(self, n: int) -> Tensor:
        """Return the next n structures: (n, K)."""
        check_integer("n", n, 1)
        self._proposals = [self._next() for _ in range(n)]
        numbers = [dna.to_numbers() for dna in self._proposals]
        decisions = torch.tensor(numbers, dtype=torch.int64).reshape(n, self.space.num_decisions)
        self._waiting = {}
        for row, key in enumerate(row_keys(decisions)):
            self._waiting.setdefault(key, []).append(row)
            self._checksum = zlib.crc32(key, self._checksum)
        self._calls.append(n)
        return decisions

    def _next(self) -> Any:
        try:
            return self._algorithm.propose()
        except StopIteration as error:
            raise StructuredLayersError(
                f"{type(self._template).__name__} has no further structures after "
                f"{self._algorithm.num_proposals}; propose fewer"
            ) from error

    def best(self) -> Tensor:
        """Return the structure (K,) with the highest average objective, the first one at first."""
        if len(self.memory):
            return self.memory.best()
        return self.space.sample(1, torch.Generator().manual_seed(0))[0]

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        waiting = [self._waiting.get(key) for key in row_keys(decisions)]
        fed = [
            (rows.pop(0), objective)
            for rows, objective in zip(waiting, objectives.tolist(), strict=True)
            if rows
        ]
        self._feed(fed)
        self.memory.observe(decisions, objectives)

    def _feed(self, fed: list[tuple[int, float]]) -> None:
        for row, objective in fed:
            self._algorithm.feedback(self._proposals[row], objective)
        self._calls.append(-len(fed))
        self._fed.extend(fed)

    def _state(self) -> dict[str, Any]:
        return {
            "calls": torch.tensor(self._calls, dtype=torch.int64),
            "rows": torch.tensor([row for row, _ in self._fed], dtype=torch.int64),
            "objectives": torch.tensor([value for _, value in self._fed], dtype=torch.float64),
            "checksum": self._checksum,
            "memory": self.memory.state_dict(),
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self._restart()
        self.memory.load_state_dict(state["memory"])
        history = iter(zip(state["rows"].tolist(), state["objectives"].tolist(), strict=True))
        for n in state["calls"].tolist():
            if n > 0:
                self.propose(n)
            else:
                self._feed(list(islice(history, -n)))
        if self._checksum != state["checksum"]:
            raise CheckpointError(
                f"{type(self._template).__name__} did not repeat its proposals, so that the "
                "search cannot go on; give it a seed, and load states with the same generator"
            )


def _specification(space: SearchSpace, pyglove: Any) -> Any:
    """Return the space as PyGlove describes one."""
    choices = [
        pyglove.geno.Choices(
            num_choices=block.stop - block.start,
            candidates=[pyglove.geno.constant() for _ in range(block.num_values)],
            distinct=block.is_distinct,
            sorted=block.is_distinct,
            location=f"block{number}",
        )
        for number, block in enumerate(decision_blocks(space))
    ]
    return pyglove.geno.Space(choices)
