"""Many trained policies of one shape: what weight autoencoders learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from structured_layers.errors import CheckpointError, StructuredLayersError
from structured_layers.files import (
    DAMAGE,
    json_digest,
    num_bytes,
    read_json,
    read_tensors,
    write_sealed_json,
    write_tensors,
)
from structured_layers.sequential_spec import SequentialSpec

from .zoo_checks import check_networks, check_zoo

FORMAT, VERSION = "structured-layers policy zoo", 1
_PER_POLICY = ("returns", "runs", "env_steps")
_SHARED = ("states", "state_policies", "observation_mean", "observation_std")
_PREFIX = "weights."


class ZooSplit(NamedTuple):
    """Three zoos without a policy in common."""

    train: PolicyZoo
    validation: PolicyZoo
    test: PolicyZoo


@dataclass(frozen=True)
class PolicyZoo:
    """N trained policies that share one shape and one normaliser of observations.

    Attributes:
        spec: describes the network that all policies have.
        weights: parameters by name, (N, ...) each.
        returns: (N,) mean returns.
        runs: (N,) numbers of the training runs that the policies come from.
        env_steps: (N,) environment steps of training before each policy.
        states: (S, obs) visited by the policies, as the environment returned them.
        state_policies: (S,) which policy visited each state; -1 for none in particular.
        observation_mean: (obs,) subtracted from a state by every policy.
        observation_std: (obs,) divides what is left.
        env: id of the environment.
        origin: how the zoo was made; plain JSON values.

    Raises:
        StructuredLayersError: no policies, shapes that do not fit each other, no states, or values
            that are not finite.

    Examples:
        >>> from structured_layers import mlp
        >>> zoo = PolicyZoo.from_networks([mlp(3, [4], 2) for _ in range(5)], torch.randn(10, 3))
        >>> len(zoo), zoo.weights["0.weight"].shape
        (5, torch.Size([5, 4, 3]))
    """

    spec: SequentialSpec
    weights: dict[str, Tensor]
    returns: Tensor
    runs: Tensor
    env_steps: Tensor
    states: Tensor
    state_policies: Tensor
    observation_mean: Tensor
    observation_std: Tensor
    env: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that all parts fit each other."""
        check_zoo(self)

    def __len__(self) -> int:
        """Return the number of policies."""
        return len(self.returns)

    @classmethod
    def from_networks(
        cls,
        networks: Sequence[nn.Sequential],
        states: Tensor,
        *,
        state_policies: Tensor | Sequence[int] | None = None,
        returns: Tensor | Sequence[float] | None = None,
        runs: Tensor | Sequence[int] | None = None,
        env_steps: Tensor | Sequence[int] | None = None,
        observation_mean: Tensor | None = None,
        observation_std: Tensor | None = None,
        env: str | None = None,
    ) -> PolicyZoo:
        """Collect networks of one shape.

        Args:
            networks: dense policies that act on the same normalised observations.
            states: (S, obs) that they visit, as the environment returns them.
            state_policies: (S,) which network visited each state, so that a part of the zoo has the
                states of its own policies only; None is unknown, and every part has all states.
            returns: (N,) mean returns; None is not known, NaN.
            runs: (N,) numbers of their training runs; None is a run for each.
            env_steps: (N,); None is zeros.
            observation_mean: (obs,); None is zeros.
            observation_std: (obs,); None is ones.
            env: id of the environment.

        Raises:
            StructuredLayersError: no networks, networks of different shapes, or NaN weights.
        """
        networks = list(networks)
        spec, weights = check_networks(networks)
        states = torch.as_tensor(states, dtype=torch.float32)
        count, size = len(networks), states.shape[-1]
        unknown = torch.full((len(states),), -1)
        none, zeros, ones = torch.full((count,), math.nan), torch.zeros(size), torch.ones(size)
        return cls(
            spec=spec,
            weights=weights,
            returns=torch.as_tensor(none if returns is None else returns, dtype=torch.float64),
            runs=torch.arange(count) if runs is None else torch.as_tensor(runs),
            env_steps=torch.as_tensor([0] * count if env_steps is None else env_steps),
            states=states,
            state_policies=torch.as_tensor(unknown if state_policies is None else state_policies),
            observation_mean=torch.as_tensor(
                zeros if observation_mean is None else observation_mean, dtype=torch.float64
            ),
            observation_std=torch.as_tensor(
                ones if observation_std is None else observation_std, dtype=torch.float64
            ),
            env=env,
        )

    def network(self, index: int) -> nn.Sequential:
        """Return the network of one policy."""
        with torch.device("meta"):
            network = self.spec.build()
        network = network.to_empty(device="cpu")
        network.load_state_dict({name: value[index] for name, value in self.weights.items()})
        return network.requires_grad_(False)

    def normalized_states(self) -> Tensor:
        """Return the states (S, obs) as the networks see them, float32."""
        states = self.states.double() - self.observation_mean
        return (states / self.observation_std).float()

    def select(self, chosen: Tensor) -> PolicyZoo:
        """Return the policies of a mask (N,) or of indices, with the states that they visit."""
        weights = {name: value[chosen] for name, value in self.weights.items()}
        rows = {name: getattr(self, name)[chosen] for name in _PER_POLICY}
        index = torch.arange(len(self))[chosen]
        numbers = torch.full((len(self) + 1,), -2)  # those of the policies that are left out
        numbers[index] = torch.arange(len(index))
        numbers[-1] = -1
        owners = numbers[self.state_policies]
        kept = owners >= -1
        return replace(
            self, weights=weights, states=self.states[kept], state_policies=owners[kept], **rows
        )

    def solved(self, threshold: float) -> PolicyZoo:
        """Return the policies with at least that mean return.

        Raises:
            StructuredLayersError: there is none.
        """
        chosen = self.returns >= threshold
        if not bool(chosen.any()):
            known = self.returns[~self.returns.isnan()]
            best = f"the best returns {float(known.max()):g}" if len(known) else "none is known"
            raise StructuredLayersError(
                f"no policy of the zoo has a return of at least {threshold:g}: {best}"
            )
        return self.select(chosen)

    def split(
        self,
        generator: torch.Generator,
        *,
        groups: Literal["networks", "runs"] = "networks",
        validation: float = 0.15,
        test: float = 0.15,
    ) -> ZooSplit:
        """Split the policies at random.

        Args:
            generator: of the draw.
            groups: ``runs`` keeps the policies of a run together, so that the test policies come
                from runs that the autoencoder has never seen.
            validation: share of the networks or runs.
            test: share of the networks or runs.

        Raises:
            StructuredLayersError: a part would be empty.
        """
        if groups not in ("networks", "runs"):
            raise StructuredLayersError(f"groups must be 'networks' or 'runs', got {groups!r}")
        if not (0 < validation < 1 and 0 < test < 1):
            raise StructuredLayersError(
                f"validation and test are shares between 0 and 1, got {validation} and {test}"
            )
        labels = torch.arange(len(self)) if groups == "networks" else self.runs
        unique = torch.unique(labels)  # in order
        order = unique[torch.randperm(len(unique), generator=generator)]
        sizes = [max(1, round(share * len(order))) for share in (test, validation)]
        parts = (order[sum(sizes) :], order[sizes[0] : sum(sizes)], order[: sizes[0]])
        if any(len(part) == 0 for part in parts):
            raise StructuredLayersError(
                f"three parts need at least 3 {groups}, and shares that leave some for training; "
                f"got {len(order)} {groups}, validation={validation}, test={test}"
            )
        return ZooSplit(*(self.select(torch.isin(labels, part)) for part in parts))

    def save(self, path: str | Path) -> None:
        """Write ``path`` (safetensors) and its description, of the same name with ``.json``.

        Raises:
            StructuredLayersError: the name does not end in ``.safetensors``.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise StructuredLayersError(
                f"the file of a zoo ends in .safetensors, and its description beside it in .json; "
                f"got {path.name}"
            )
        tensors = {_PREFIX + name: value for name, value in self.weights.items()}
        tensors |= {name: getattr(self, name) for name in (*_PER_POLICY, *_SHARED)}
        description = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.spec.to_json(),
            "parameters": list(self.weights),
            "env": self.env,
            "origin": dict(self.origin),
            "bytes": num_bytes(tensors),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors, belongs_to=json_digest(description))
        write_sealed_json(path.with_suffix(".json"), description)

    @classmethod
    def load(cls, path: str | Path) -> PolicyZoo:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: missing, cut off, changed, of a newer version, or not ours.
        """
        path = Path(path)
        described = path.with_suffix(".json")
        data = read_json(described, format_name=FORMAT, version=VERSION, sealed_since=1)
        tensors = read_tensors(path, size=data.get("bytes"), belongs_to=json_digest(data))
        try:
            return cls(
                spec=SequentialSpec.from_json(data["network"]),
                weights={name: tensors[_PREFIX + name] for name in data["parameters"]},
                **{name: tensors[name] for name in (*_PER_POLICY, *_SHARED)},
                env=data["env"],
                origin=data["origin"],
            )
        except DAMAGE as error:
            raise CheckpointError(f"{path} does not hold a whole policy zoo: {error}") from error
