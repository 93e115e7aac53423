"""The contract of a controller: propose structures, observe how good they were."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from structured_layers.errors import StructuredLayersError

from ..argument_checks import check_seed
from ..saved_states import check_kind, take_up_whole
from ..search_spaces import SearchSpace


class Controller(ABC):
    """Proposes structures of a space and learns from their objectives (higher is better).

    Args:
        space: what is decided.
        seed: of the controller's own generator; None draws one.
    """

    def __init__(self, space: SearchSpace, *, seed: int | None = None) -> None:
        """Make the generator."""
        check_seed(seed)
        self.space = space
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(int(seed))
        self.num_updates = 0

    def start_at(self, decisions: Tensor) -> None:
        """Go on from a structure (K,).

        Raises:
            StructuredLayersError: it is no member of the space, or this controller keeps to none.
        """
        raise StructuredLayersError(
            f"{type(self).__name__} starts with structures of its own; take LocalSearch to start "
            "at a given one"
        )

    @abstractmethod
    def propose(self, n: int) -> Tensor:
        """Return n structures to try: (n, K) int64."""

    def observe(self, decisions: Tensor, objectives: Tensor) -> None:
        """Learn that ``decisions`` (n, K) reached ``objectives`` (n,).

        Raises:
            StructuredLayersError: no structures, shapes that do not fit, or objectives that are
                not finite.
        """
        self.space.check(decisions)
        objectives = objectives.detach().to(dtype=torch.float64)
        if tuple(objectives.shape) != (len(decisions),) or not bool(objectives.isfinite().all()):
            raise StructuredLayersError(
                f"objectives must be {len(decisions)} finite numbers, one per structure, got "
                f"shape {tuple(objectives.shape)}"
            )
        if not len(decisions):
            raise StructuredLayersError("a controller observes at least one structure, got none")
        self._observe(self.space.canonical(decisions), objectives)
        self.num_updates += 1

    @abstractmethod
    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        """Learn from checked decisions and float64 objectives."""

    @abstractmethod
    def best(self) -> Tensor:
        """Return the structure (K,) that the controller holds to be the best."""

    def ranked(self, n: int) -> Tensor:
        """Return up to n different structures (m, K) that are known to be good, the best first.

        Nothing is known before the first observation.
        """
        return self.best()[None][: n if self.num_updates else 0]

    def kind(self) -> dict[str, str]:
        """Return what a state must agree in with the controller that takes it up."""
        return {"controller": type(self).__name__, "space": self.space.fingerprint}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later proposals depend on: tensors and plain values."""
        return {
            "kind": self.kind(),
            "generator": self.generator.get_state(),
            "num_updates": self.num_updates,
            **self._state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Raises:
            StructuredLayersError: it is the state of another controller, of another space, or not
                a whole one; nothing has changed.
        """
        if "kind" in state:  # the first states did not say it
            check_kind("controller", self.kind(), state["kind"])
        take_up_whole("controller", self._take_up, self.state_dict(), state)

    def _take_up(self, state: Mapping[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.num_updates = int(state["num_updates"])
        self._load_state(state)

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return the state beyond the generator and the count of updates."""

    @abstractmethod
    def _load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`_state` returned."""
