"""Any controller, with good structures proposed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..argument_checks import check_integer
from .base import Controller
from .good_structures import GoodStructures, check_share


class Replay(Controller):
    """Proposes what another controller proposes, and good structures again in between.

    A structure that was good once under noise is tried again, so that its average tells more. The
    other controller observes everything. The best structure is the one of the highest moving
    average of its objectives.

    Args:
        controller: who proposes the other structures.
        size: how many good structures are remembered.
        share: of the proposals that are structures of the memory, in [0, 1).
        decay: of the moving averages, in [0, 1).
        seed: of this controller's own generator; None draws one.

    Reference:
        Song et al., Chromatic Networks, 2019 (arXiv 1907.06511): the replay buffer.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        size: int = 32,
        share: float = 0.1,
        decay: float = 0.8,
        seed: int | None = None,
    ) -> None:
        """Start with an empty memory."""
        super().__init__(controller.space, seed=seed)
        check_integer("size", size, 1)
        check_share("share", share)
        self.controller, self.share = controller, share
        self.memory = GoodStructures(controller.space.num_decisions, size=size, decay=decay)

    def propose(self, n: int) -> Tensor:
        """Return n structures, a share of them from the memory: (n, K)."""
        return self.memory.mix_in(self.controller.propose(n), self.share, self.generator)

    def best(self) -> Tensor:
        """Return the structure (K,) of the highest moving average."""
        return self.memory.best() if len(self.memory) else self.controller.best()

    def ranked(self, n: int) -> Tensor:
        """Return up to n remembered structures (m, K), by their moving averages."""
        return self.memory.members[:n].clone()

    def kind(self) -> dict[str, str]:
        """Return both controllers and their space."""
        other = self.controller.kind()["controller"]
        return {**super().kind(), "controller": f"{type(self).__name__}({other})"}

    def _observe(self, decisions: Tensor, objectives: Tensor) -> None:
        self.controller.observe(decisions, objectives)
        self.memory.observe(decisions, objectives)

    def _state(self) -> dict[str, Any]:
        return {"controller": self.controller.state_dict(), "memory": self.memory.state_dict()}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.controller.load_state_dict(state["controller"])
        self.memory.load_state_dict(state["memory"])
