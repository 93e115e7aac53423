"""The methods that benchmarks/erl.py compares, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from erl_learners import make_env, make_td3
from stable_baselines3 import TD3

from structured_layers.integrations.sb3 import deployed_policy
from structured_layers.policy import Policy


class Trained(ABC):
    """Something that learns, is saved, and has policies to show."""

    seed: int

    @property
    @abstractmethod
    def learner_steps(self) -> int:
        """Environment steps of the learners so far."""

    @abstractmethod
    def learn(self, num_steps: int) -> None:
        """Let the learners take that many environment steps more."""

    @abstractmethod
    def policies(self) -> dict[str, Policy]:
        """Return the policies that could be deployed now, by name."""

    @abstractmethod
    def counts(self) -> dict[str, float]:
        """Return what a row of the curve says beside returns."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Save everything, the replay buffer too."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Take up what was saved."""

    def settings(self) -> dict[str, Any]:
        """Return what a record says of the method."""
        return {}


class PlainTD3(Trained):
    """Stable-Baselines3's TD3 alone."""

    def __init__(self, seed: int, autoencoder: Path | None) -> None:
        self.seed = seed
        self.model = make_td3(seed)

    @property
    def learner_steps(self) -> int:
        return int(self.model.num_timesteps)

    def learn(self, num_steps: int) -> None:
        self.model.learn(num_steps, reset_num_timesteps=False)

    def policies(self) -> dict[str, Policy]:
        return {"learner": deployed_policy(self.model)}

    def counts(self) -> dict[str, float]:
        return {"learner_steps": self.learner_steps, "gradient_steps": int(self.model._n_updates)}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / "learner.zip")
        self.model.save_replay_buffer(folder / "replay_buffer.pkl")

    def load(self, folder: Path) -> None:
        self.model = TD3.load(folder / "learner.zip", env=make_env(self.seed), device="cpu")
        self.model.load_replay_buffer(folder / "replay_buffer.pkl")

    def settings(self) -> dict[str, Any]:
        return {"method": "TD3"}


METHODS: dict[str, Callable[[int, Path | None], Trained]] = {"td3": PlainTD3}
