"""A model of Stable-Baselines3 as the policy that a run starts at."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Env

from structured_layers.errors import MissingDependencyError, StructuredLayersError
from structured_layers.policy import Policy


def read_sb3_policy(path: Path, vecnormalize: Path | None) -> Policy:
    """Read what ``model.save`` wrote; it is a pickle in parts, so open only files that you trust.

    Args:
        path: of the zip.
        vecnormalize: of the statistics that ``VecNormalize.save`` wrote, None if there are none.

    Raises:
        MissingDependencyError: Stable-Baselines3 is not installed.
        StructuredLayersError: a file that is none of its models, or one that cannot be exported.
    """
    try:
        from ..sb3.deployment import deployed_policy
    except ImportError as error:
        raise MissingDependencyError("Starting at a zip of Stable-Baselines3", "sb3") from error
    if not zipfile.is_zipfile(path):
        raise StructuredLayersError(
            f"{path} is neither a folder with a policy nor a zip of Stable-Baselines3"
        )
    model = _load_model(path)
    policy = deployed_policy(model)
    if vecnormalize is None:
        return policy
    statistics = _read_statistics(vecnormalize, model)
    return Policy(
        policy.network,
        policy.actions,
        observation_mean=np.asarray(statistics.obs_rms.mean, np.float64).flatten(),
        observation_std=np.sqrt(statistics.obs_rms.var + statistics.epsilon).flatten(),
    )


def _load_model(path: Path) -> Any:
    """Load the model of a zip, with the algorithm that the zip names."""
    from stable_baselines3.common.save_util import load_from_zip_file

    from ..cli.sb3_models import algorithm_class
    from ..cli.sb3_origin import algorithm_of

    try:
        data, _, _ = load_from_zip_file(path, device="cpu")
        name = algorithm_of(data or {})
        model = None if name is None else algorithm_class(name).load(path, device="cpu")
    except Exception as error:  # whatever unpickling and old attributes raise
        raise StructuredLayersError(
            f"{path} cannot be loaded as a model of Stable-Baselines3: {type(error).__name__}: "
            f"{error}"
        ) from error
    if model is None:
        raise StructuredLayersError(f"{path} does not say which algorithm it is a model of")
    return model


class _Spaces(Env[Any, Any]):
    """The spaces of a model, which the loader of its normaliser compares."""

    def __init__(self, model: Any) -> None:
        self.observation_space, self.action_space = model.observation_space, model.action_space


def _read_statistics(path: Path, model: Any) -> Any:
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    try:
        found = VecNormalize.load(str(path), DummyVecEnv([lambda: _Spaces(model)]))
    except Exception as error:  # whatever unpickling raises
        raise StructuredLayersError(
            f"{path} cannot be loaded as a VecNormalize of this model: {type(error).__name__}: "
            f"{error}"
        ) from error
    if not (found.norm_obs and hasattr(found.obs_rms, "mean")):
        raise StructuredLayersError(f"the VecNormalize of {path} normalises no observations")
    return found
