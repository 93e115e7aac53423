"""Environments that hang, end their process or take their time; which episodes do, seeds say."""

import os
import signal
import time
from pathlib import Path

import gymnasium
from drift_envs import Drift


class Doomed(Drift):
    """A share of the episodes, which only their seeds decide, comes to grief at the third step.

    FAULTS_MENDED mends it, as a user would mend an environment of their own.
    """

    def __init__(self, share=0.1, step_seconds=0.0):
        self.share, self.step_seconds = share, step_seconds

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        self.doomed = self.np_random.random() < self.share and "FAULTS_MENDED" not in os.environ
        self.steps = 0
        return observation, info

    def step(self, action):
        self.steps += 1
        if self.step_seconds:
            time.sleep(self.step_seconds)
        if self.doomed and self.steps == 3:
            self.come_to_grief()
        return super().step(action)

    def come_to_grief(self):
        """Nothing in this class: the healthy comparison, with the same draws."""


class Hanging(Doomed):
    """Waits for what never comes."""

    def come_to_grief(self):
        time.sleep(3600)


class Crashing(Doomed):
    """Ends its process, again whenever it is tried."""

    def come_to_grief(self):
        os.kill(os.getpid(), signal.SIGKILL)


class SlowInOneProcess(Doomed):
    """Takes its time in the process that is the first to leave its mark."""

    def __init__(self, folder):
        super().__init__(share=0.0)
        self.mark = Path(folder) / str(os.getpid())
        self.mark.touch()
        marks = sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        self.step_seconds = 0.02 if marks[0].name == self.mark.name else 0.0


gymnasium.register("Patient-v0", Doomed, max_episode_steps=30, kwargs={"step_seconds": 0.003})
