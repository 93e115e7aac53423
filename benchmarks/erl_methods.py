"""The methods that benchmarks/erl.py compares, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from erl_learners import make_env, make_td3
from stable_baselines3 import TD3

from structured_layers.algorithms.latent import NetworkAutoencoder
from structured_layers.integrations.sb3 import deployed_policy
from structured_layers.integrations.sb3.erl import CERL, ERL
from structured_layers.integrations.sb3.erl.cerl import DISCOUNTS
from structured_layers.policy import Policy

CERL_GRADIENT_STEPS = 0.25
"""Of each of four learners for each step of the learners: as many as of one TD3 in all."""
SELDOM = 5_000
"""Learner steps between generations with which population and learner see about as much."""


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


class Evolved(Trained):
    """ERL or CERL with the settings of the benchmark."""

    def __init__(self, seed: int, training: ERL | CERL) -> None:
        self.seed, self.training = seed, training

    @property
    def learner_steps(self) -> int:
        return self.training.num_timesteps

    def learn(self, num_steps: int) -> None:
        self.training.learn(num_steps, reset_num_timesteps=False)

    def policies(self) -> dict[str, Policy]:
        learners = len(self.training.models)
        names = ["learner"] if learners == 1 else [f"learner-{i}" for i in range(learners)]
        policies = {name: self.training.learner_policy(i) for i, name in enumerate(names)}
        return {**policies, "elite": self.training.elite_policy()}

    def counts(self) -> dict[str, float]:
        return {
            "learner_steps": self.learner_steps,
            "population_steps": self.training.population.env_steps,
            "gradient_steps": sum(int(model._n_updates) for model in self.training.models),
            "evolution_share": self.training.evolution_share,
        }

    def save(self, folder: Path) -> None:
        self.training.save(folder, replay_buffer=True)

    def load(self, folder: Path) -> None:
        kind = type(self.training)
        self.training = kind.load(
            folder, make_env(self.seed), replay_buffer=True, algorithm=TD3, device="cpu"
        )

    def settings(self) -> dict[str, Any]:
        arguments = self.training.arguments()
        gammas = [float(model.gamma) for model in self.training.models]
        coder = self.training.population.autoencoder
        sizes = {n: c.latent_size for n, c in coder.autoencoders.items()} if coder else None
        method = type(self.training).__name__
        return {"method": method, "arguments": arguments, "gammas": gammas, "latent_sizes": sizes}


def erl(seed: int, autoencoder: Path | None) -> Evolved:
    """Return TD3 with a population of dense actors."""
    return Evolved(seed, ERL(make_td3(seed), seed=seed))


def erl_seldom(seed: int, autoencoder: Path | None) -> Evolved:
    """Return TD3 with a population of dense actors that acts a fifth as often."""
    return Evolved(seed, ERL(make_td3(seed), seed=seed, steps_per_generation=SELDOM))


def erl_latent(seed: int, autoencoder: Path | None) -> Evolved:
    """Return TD3 with a population of latent codes."""
    coder = _coder(autoencoder)
    training = ERL(make_td3(seed), seed=seed, steps_per_generation=SELDOM, autoencoder=coder)
    return Evolved(seed, training)


def cerl(seed: int, autoencoder: Path | None, coder: NetworkAutoencoder | None = None) -> Evolved:
    """Return four TD3 of different discounts with a population of dense actors."""
    seeds = [seed + 1000 * number for number in range(len(DISCOUNTS))]
    models = [make_td3(own, gamma=gamma) for own, gamma in zip(seeds, DISCOUNTS, strict=True)]
    return Evolved(
        seed,
        CERL(
            models,
            seed=seed,
            steps_per_generation=SELDOM,
            gradient_steps_per_step=CERL_GRADIENT_STEPS,
            autoencoder=coder,
        ),
    )


def cerl_latent(seed: int, autoencoder: Path | None) -> Evolved:
    """Return four TD3 with a population of latent codes."""
    return cerl(seed, None, _coder(autoencoder))


def _coder(autoencoder: Path | None) -> NetworkAutoencoder:
    if autoencoder is None:
        raise SystemExit("a latent population needs --autoencoder FOLDER")
    return NetworkAutoencoder.load(autoencoder)


METHODS: dict[str, Callable[[int, Path | None], Trained]] = {
    "td3": PlainTD3,
    "erl": erl,
    "erl-seldom": erl_seldom,
    "cerl": cerl,
    "cerl-latent": cerl_latent,
    "erl-latent": erl_latent,
}
