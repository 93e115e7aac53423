"""An environment whose episodes end, or fail, as their seeds say, and that records every call."""

import os
from collections import Counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

ENDS = ("terminates", "is truncated", "goes on")
FAILURES = ("raises", "returns NaN", "shows infinity", "does not start")


class Patterned(gymnasium.Env[Any, Any]):
    """Moves a number by each action; all observations are multiples of 1/8, whose sums are exact.

    Args:
        longest: steps of the longest episode that ends by itself.
        failing: share of the episodes that fail at their last step.
        log: file that gets a line for each reset and each step, from all processes; None keeps
            them in ``calls``.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (3,))
    action_space = spaces.Box(-1.0, 1.0, (1,))
    calls: Counter[tuple[str, int]] = Counter()

    def __init__(self, longest: int = 12, failing: float = 0.0, log: str | None = None) -> None:
        self.longest, self.failing, self.log = longest, failing, log

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.seed = int(seed or 0)
        self.record("reset")
        self.length = int(self.np_random.integers(1, self.longest + 1))
        kinds = FAILURES if self.np_random.random() < self.failing else ENDS
        self.pattern = kinds[int(self.np_random.integers(len(kinds)))]
        if self.pattern == "does not start":
            raise RuntimeError("the battery is empty")
        self.place, self.steps = float(self.np_random.integers(-16, 17)), 0
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.record("step")
        self.steps += 1
        self.place += round(4 * float(action[0]))
        reward, last = -abs(self.place) / 3, self.steps == self.length
        if last and self.pattern == "raises":
            raise RuntimeError("the motor is on fire")
        if last and self.pattern == "returns NaN":
            reward = float("nan")
        observation = self.observe()
        if last and self.pattern == "shows infinity":
            observation[1] = np.inf
        terminated = last and self.pattern == "terminates"
        truncated = last and self.pattern == "is truncated"
        return observation, reward, terminated, truncated, {"reward_survive": 0.125}

    def observe(self) -> Any:
        return np.array([self.place / 8, self.steps / 8, self.length / 8])

    def record(self, call: str) -> None:
        if self.log is None:
            Patterned.calls[call, self.seed] += 1
            return
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{call} {self.seed}\n".encode())  # one write: whole lines
        os.close(file)


def read_log(path: str) -> Counter[tuple[str, int]]:
    """The calls that environments of all processes wrote down."""
    calls: Counter[tuple[str, int]] = Counter()
    with open(path) as file:
        for line in file:
            call, seed = line.split()
            calls[call, int(seed)] += 1
    return calls
