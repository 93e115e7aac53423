"""Hearing MuJoCo say that a simulation became unstable."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any

import gymnasium


class Listener:
    """Listens to MuJoCo's warnings inside a `with` block; asking every MjData would be slow.

    MuJoCo speaks when it meets a position, velocity, acceleration or control that is not finite or
    huge, at the first time in an episode, and then starts the model anew by itself.

    Args:
        mujoco: the module.
        name: of the environment, for messages.

    Attributes:
        heard: what MuJoCo said about instability in the last block.
    """

    def __init__(self, mujoco: ModuleType, name: str) -> None:
        """Know which of MuJoCo's counters matter."""
        kinds = mujoco.mjtWarning
        self._unstable = [
            int(kind) for kind in (kinds.mjWARN_BADQPOS, kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC)
        ]
        self._bad_control = int(kinds.mjWARN_BADCTRL)
        self._mujoco, self._name = mujoco, name
        self._previous: Any = None
        self._others: set[str] = set()
        self.heard: list[str] = []

    def __enter__(self) -> None:
        """Take MuJoCo's warnings, which it would print and log to a file otherwise."""
        self.heard = []
        self._previous = self._mujoco.get_mju_user_warning()
        self._mujoco.set_mju_user_warning(self.heard.append)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the warnings back to who had them, and pass on those about other things."""
        self._mujoco.set_mju_user_warning(self._previous)
        if self.heard:
            self._pass_on()

    def look_at(self, datas: Sequence[Any]) -> tuple[list[int], list[int]]:
        """Return which of the episodes became unstable, and which were given a bad control."""
        counts = [data.warning.number for data in datas]
        unstable = [row for row, count in enumerate(counts) if count[self._unstable].any()]
        bad_controls = [row for row, count in enumerate(counts) if count[self._bad_control]]
        return unstable, bad_controls

    def _pass_on(self) -> None:
        """Warn once of each kind that has nothing to do with instability, a full buffer say."""
        others = [text for text in self.heard if "unstable" not in text]
        self.heard = [text for text in self.heard if "unstable" in text]
        for text in others:
            kind = text.partition("Time =")[0]
            if kind not in self._others:
                self._others.add(kind)
                warnings.warn(f"MuJoCo says of {self._name}: {kind}", RuntimeWarning, stacklevel=2)


def listener_for(env: gymnasium.Env[Any, Any], name: str) -> Listener | None:
    """Return who listens to MuJoCo while environments like this one step; None without MuJoCo."""
    mujoco = sys.modules.get("mujoco")
    data = None
    with contextlib.suppress(Exception):
        data = env.unwrapped.data  # type: ignore[attr-defined]
    if mujoco is None or not isinstance(data, mujoco.MjData):
        return None
    return Listener(mujoco, name)
