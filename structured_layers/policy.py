"""A trained policy: one network, its normaliser and its actions, decided with NumPy only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.utils import parameters_to_vector

from .actions import Actions
from .errors import StructuredLayersError
from .population import PopulationPolicy
from .sequential_spec import SequentialSpec
from .specs import NetworkSpec
from .topology import topology_size, topology_to_vector

Floats = NDArray[np.float64]


class Policy:
    """A policy as :func:`load_policy` returns it; ``predict`` has SB3's signature.

    Args:
        network: what decides, see :class:`PopulationPolicy` for what it may hold.
        actions: how outputs become actions.
        observation_mean: (obs,), None without normalisation.
        observation_std: (obs,), divides; None without normalisation.
        observation_shape: of one observation as the environment returns it; None is (obs,).
        spec: how the network is described in files; None for a module of one's own.
        env: id of the environment it was trained in.
        env_config: arguments of that environment's constructor, plain JSON values.
    """

    def __init__(
        self,
        network: nn.Module,
        actions: Actions,
        *,
        observation_mean: Floats | None = None,
        observation_std: Floats | None = None,
        observation_shape: tuple[int, ...] | None = None,
        spec: NetworkSpec | SequentialSpec | None = None,
        env: str | None = None,
        env_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Freeze the network's dense weights as NumPy arrays."""
        self.network, self.actions, self.spec, self.env = network, actions, spec, env
        self.env_config = dict(env_config or {})
        self.observation_mean, self.observation_std = observation_mean, observation_std
        topology = topology_to_vector(network)[None] if topology_size(network) else None
        weights = parameters_to_vector(network.parameters()).detach()[None]
        self._population = PopulationPolicy(network, weights, topology)
        if self._population.out_features != actions.num_outputs:
            raise StructuredLayersError(
                f"the actions need {actions.num_outputs} outputs, the network has "
                f"{self._population.out_features}"
            )
        size = self.observation_size
        _check_normalizer(size, observation_mean, observation_std)
        self.observation_shape = (size,) if observation_shape is None else observation_shape
        if math.prod(self.observation_shape) != size:
            raise StructuredLayersError(
                f"observation_shape must have {size} entries, the network's inputs, got "
                f"{self.observation_shape}"
            )

    @property
    def observation_size(self) -> int:
        """Number of entries of an observation."""
        return self._population.in_features

    def predict(
        self,
        observation: ArrayLike,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the action for an observation, as SB3's models do.

        Args:
            observation: (*observation_shape) or a batch (n, *observation_shape). What is no array
                in the environment comes as ``gymnasium.spaces.flatten`` makes it.
            state: returned as it came; there is no recurrence.
            episode_start: not used, for the same reason.
            deterministic: not used: the policy always is.

        Returns:
            The action (act,) or actions (n, act), without the last dimension for discrete ones, and
            the state.
        """
        rows = self._checked(observation)
        batch = rows.reshape(-1, self.observation_size)
        if self.observation_mean is not None and self.observation_std is not None:
            batch = (batch - self.observation_mean) / self.observation_std
        actions = self.actions(self._population.act(batch))  # one policy broadcasts over the rows
        return (actions[0] if rows.shape == self.observation_shape else actions), state

    def _checked(self, observation: ArrayLike) -> Floats:
        """Return one observation or a batch of them as float64."""
        shape = self.observation_shape
        try:
            rows = np.asarray(observation, dtype=np.float64)
        except (TypeError, ValueError):
            rows = None
        if rows is None or shape not in (rows.shape, rows.shape[1:]):
            found = type(observation).__name__ if rows is None else rows.shape
            raise StructuredLayersError(
                f"observation must have shape {shape} or (n, {', '.join(map(str, shape))}), got "
                f"{found}; flatten what is no array with gymnasium.spaces.flatten"
            )
        return rows

    def replicate(self, n: int) -> PopulationPolicy:
        """Return n copies of the bare network, which neither normalise nor clip."""
        return self._population.take([0] * n)

    def save(self, folder: str | Path) -> None:
        """Write ``policy.json`` and ``weights.safetensors`` into a folder, each at one blow.

        Raises:
            StructuredLayersError: a policy without a spec, whose network files cannot describe.
        """
        from .policy_files import save_policy

        save_policy(self, Path(folder))


def _check_normalizer(size: int, mean: Floats | None, std: Floats | None) -> None:
    shapes = [None if values is None else np.shape(values) for values in (mean, std)]
    if shapes not in ([None, None], [(size,), (size,)]):
        raise StructuredLayersError(
            f"observation_mean and observation_std must both have shape ({size},), the network's "
            f"inputs, or both be None, got shapes {shapes[0]} and {shapes[1]}"
        )


def check_env_config(env_config: Any) -> None:
    """Refuse arguments of an environment that JSON files can't hold."""
    try:
        json.dumps(env_config, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise StructuredLayersError(
            f"env_config is written to JSON files, which cannot hold {env_config!r}: {error}; "
            "for infinity write 1e308"
        ) from error
    if not isinstance(env_config, dict) or not all(type(name) is str for name in env_config):
        raise StructuredLayersError(
            f"env_config must be an object of arguments by name, got {env_config!r}"
        )


def load_policy(folder: str | Path, *, network: nn.Module | None = None) -> Policy:
    """Load the policy of a run or of a policy folder.

    Args:
        folder: a run's folder or its ``policy`` folder.
        network: takes the weights instead of the network that the files describe; it is changed.

    Raises:
        CheckpointError: nothing there, cut off, of a newer version, or not ours.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from structured_layers.actions import BoxActions
        >>> spec = NetworkSpec(8, 2, hidden=(), layer="toeplitz")
        >>> bounds = BoxActions(-np.ones(2, np.float32), np.ones(2, np.float32))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Policy(spec.build(), bounds, spec=spec).save(folder)
        ...     action, _ = load_policy(folder).predict(np.zeros(8))
        >>> action
        array([0., 0.], dtype=float32)
    """
    from .policy_files import read_policy

    return read_policy(Path(folder), network)
