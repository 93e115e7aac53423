"""Stable-Baselines3's models, loaded by the names of algorithm and environment."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

from structured_layers.errors import MissingDependencyError, StructuredLayersError

from .sb3_origin import algorithm_of

Algorithm = Literal[
    "a2c",
    "ars",
    "crossq",
    "ddpg",
    "dqn",
    "maskable_ppo",
    "ppo",
    "ppo_lstm",
    "qrdqn",
    "sac",
    "td3",
    "tqc",
    "trpo",
]
CLASSES = {
    **{name: ("stable_baselines3", name.upper()) for name in ("a2c", "ddpg", "dqn")},
    **{name: ("stable_baselines3", name.upper()) for name in ("ppo", "sac", "td3")},
    **{name: ("sb3_contrib", name.upper()) for name in ("ars", "qrdqn", "tqc", "trpo")},
    "crossq": ("sb3_contrib", "CrossQ"),
    "maskable_ppo": ("sb3_contrib", "MaskablePPO"),
    "ppo_lstm": ("sb3_contrib", "RecurrentPPO"),
}
VERSIONS_FILE = "system_info.txt"


def load_model(path: Path, algorithm: str, env: Any, device: str) -> Any:
    """Load a model by SB3's own loader, which unpickles what is in the file.

    Raises:
        StructuredLayersError: if there is no such file, or it is no model of that algorithm that
            this version of SB3 can load; it says which algorithm or versions made it.
    """
    cls = algorithm_class(algorithm)
    _check_device(device)
    if not path.is_file():
        raise StructuredLayersError(f"{path} does not exist; give the zip that model.save wrote")
    if not zipfile.is_zipfile(path):
        raise StructuredLayersError(f"{path} is no zip, so no model of Stable-Baselines3")
    try:
        _check_algorithm(path, algorithm)
        return cls.load(path, env=env, device=device)
    except StructuredLayersError:
        raise
    except Exception as error:  # whatever unpickling and old attributes raise
        raise StructuredLayersError(
            f"{path} cannot be loaded as a model of {cls.__name__} in {_id(env)}: "
            f"{type(error).__name__}: {error}; it was saved with {versions_of(path)}, here are "
            f"{_installed()}; check --algo and --env, or load it with the versions that made it"
        ) from error


def load_replay_buffer(model: Any, path: Path) -> None:
    """Give a model the replay buffer of a file, which SB3's own loader unpickles.

    Raises:
        StructuredLayersError: if the model has none, or the file holds none for its environment.
    """
    if not hasattr(model, "load_replay_buffer"):
        raise StructuredLayersError(
            f"--replay-buffer goes with off-policy algorithms; {type(model).__name__} has none"
        )
    if not path.is_file():
        raise StructuredLayersError(f"{path} does not exist; model.save_replay_buffer writes it")
    try:
        with path.open("rb") as file:  # SB3 leaves it open after an error
            model.load_replay_buffer(file)
    except Exception as error:  # whatever unpickling raises
        raise StructuredLayersError(
            f"{path} cannot be loaded as a replay buffer: {type(error).__name__}: {error}"
        ) from error
    for name in ("observation_space", "action_space"):
        needed, found = getattr(model, name), getattr(model.replay_buffer, name)
        if needed != found:
            raise StructuredLayersError(
                f"{path} is the replay buffer of another environment: its {name} is {found}, that "
                f"of the model {needed}"
            )


def load_env(env_id: str, num_envs: int, normalizer: Path | None, seed: int) -> Any:
    """Make the environments, with the normaliser that a pickle holds around them.

    Raises:
        StructuredLayersError: for an unknown environment, or a file that is no normaliser for it.
    """
    import gymnasium
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    if num_envs < 1:
        raise StructuredLayersError(f"num_envs must be at least 1, got {num_envs}")
    try:
        env = make_vec_env(env_id, n_envs=num_envs, seed=seed)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise StructuredLayersError(f"{env_id} cannot be made: {error}") from error
    if normalizer is None:
        return env
    if not normalizer.is_file():
        raise StructuredLayersError(f"{normalizer} does not exist; VecNormalize.save writes it")
    try:
        found = VecNormalize.load(str(normalizer), env)
    except Exception as error:  # whatever unpickling raises
        raise StructuredLayersError(
            f"{normalizer} cannot be loaded as a VecNormalize of {env_id}: "
            f"{type(error).__name__}: {error}; here are {_installed()}"
        ) from error
    return found


def algorithm_class(name: str) -> Any:
    """Return the class of an algorithm by the name that rl_zoo3 gives it."""
    import importlib

    package, cls = CLASSES[name]
    try:
        return getattr(importlib.import_module(package), cls)
    except ImportError as error:
        raise MissingDependencyError(f"The algorithm {name}", "sb3") from error


def versions_of(path: Path) -> str:
    """Return the versions that a zip says it was made with."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(VERSIONS_FILE).decode(errors="replace")
    except (KeyError, zipfile.BadZipFile):
        return "unknown versions"
    wanted = ("Stable-Baselines3", "Gym", "Python")
    lines = (line.strip("- ").strip() for line in text.splitlines())
    found = [line for line in lines if line.startswith(wanted)]
    return ", ".join(found) or "unknown versions"


def _check_device(device: str) -> None:
    import torch

    try:
        torch.device("cpu" if device == "auto" else device)
    except RuntimeError as error:
        raise StructuredLayersError(
            f"--device must be auto or a device of PyTorch such as cpu or cuda, got {device!r}"
        ) from error


def _check_algorithm(path: Path, algorithm: str) -> None:
    """Refuse a zip of another algorithm: many load as if they were of this one."""
    from stable_baselines3.common.save_util import load_from_zip_file

    data, _, _ = load_from_zip_file(path, device="cpu")
    found = algorithm_of(data or {})
    if found not in (None, algorithm):
        raise StructuredLayersError(
            f"{path} seems to be a model of {CLASSES[str(found)][1]}, not of "
            f"{CLASSES[algorithm][1]}; give --algo {found}"
        )


def _installed() -> str:
    import gymnasium
    import stable_baselines3

    return f"Stable-Baselines3 {stable_baselines3.__version__}, Gymnasium {gymnasium.__version__}"


def _id(env: Any) -> str:
    spec = env.get_attr("spec")[0]
    return "its environment" if spec is None else str(spec.id)
