"""Small quick environments for tests, registered for `gymnasium.make("drift_envs:Drift-v0")`."""

import os
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import spaces


class Drift(gymnasium.Env):
    """A point with momentum that is paid for staying near the origin; ends when it is far away."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,))
    action_space = spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.normal(size=2)
        self.velocity = np.zeros(2)
        return self.observe(), {}

    def step(self, action):
        self.velocity = 0.9 * self.velocity + 0.1 * np.asarray(action, dtype=np.float64)
        self.position = self.position + self.velocity
        distance = float(np.linalg.norm(self.position))
        alive = 0.25 if distance < 4.0 else 0.0
        return self.observe(), alive - distance, distance >= 4.0, False, {"reward_survive": alive}

    def observe(self):
        return np.array([*self.position, self.velocity.sum()])


class Troubled(Drift):
    """Fails at the third step in a share of the episodes that only their seeds decide.

    The environment variable DRIFT_FIXED mends it, as a user would mend an environment of their own.
    """

    def __init__(self, share=0.25, trouble="raise"):
        self.share, self.trouble = share, trouble

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        self.doomed = self.np_random.random() < self.share and "DRIFT_FIXED" not in os.environ
        self.steps = 0
        return observation, info

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        self.steps += 1
        if self.doomed and self.steps == 3:
            if self.trouble == "raise":
                raise RuntimeError("the motor is on fire")
            if self.trouble == "exit":
                raise SystemExit(3)
            if self.trouble == "huge reward":
                reward = -1e40
            if self.trouble == "reward":
                reward = float("nan")
            if self.trouble == "observation":
                observation = np.full(3, np.nan)
        return observation, reward, terminated, truncated, info


class UnableToClose(Drift):
    """Raises when it is closed."""

    def close(self):
        raise RuntimeError("cannot close")


class UnableToStart(Drift):
    """Raises at the reset of about a quarter of the episodes."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        if self.np_random.random() < 0.25:
            raise RuntimeError("the battery is empty")
        return observation, info


class KillsItsProcessOnce(Drift):
    """Ends its process without a word, once in all processes that share the folder."""

    def __init__(self, folder):
        self.mark = Path(folder) / "died"

    def step(self, action):
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return super().step(action)
        os._exit(1)


class Picture(Drift):
    """Shows an image, which no policy here can read."""

    observation_space = spaces.Box(0, 255, (8, 8, 3), dtype=np.uint8)


for name, maker, options in (
    ("Drift-v0", Drift, {}),
    ("Troubled-v0", Troubled, {}),
    ("Hopeless-v0", Troubled, {"share": 0.8}),
    ("Picture-v0", Picture, {}),
):
    gymnasium.register(name, maker, max_episode_steps=30, kwargs=options)
