"""The size of actor and critic in the log."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from ....errors import StructuredLayersError
from ....layers import ChromaticLinear, MaskedLinear, SoftMaskedLinear
from ....metrics import summarize
from ..setting_checks import check_integer_
from ..targets import critic_layers, deployed_layers

SCHEMES = ("paper", "bitmask", "coordinates", "entropy")


class CompressionCallback(BaseCallback):
    """Log how large actor and critic are, as ``compression/actor_weights`` and so on.

    ``…_weights`` and ``…_bits`` are those of :func:`~structured_layers.summarize`, ``…_density``
    is the share of edges that exist, and ``…_colors``, only for chromatic layers, the number of
    colours that are in use over all palettes. They are recorded at every rollout and counted anew
    every ``log_freq`` steps. DQN and QRDQN have no separate critic.

    Args:
        log_freq: environment steps between two counts.
        bits: the scheme of the bits, one of ``paper``, ``bitmask``, ``coordinates``, ``entropy``.
        verbose: as for every callback.

    Raises:
        StructuredLayersError: an unknown scheme or a frequency that is no integer of at least 1;
            when training starts, a policy without linear layers.

    Examples:
        >>> model.learn(100_000, callback=CompressionCallback())  # doctest: +SKIP
    """

    def __init__(self, log_freq: int = 2_000, *, bits: str = "entropy", verbose: int = 0) -> None:
        """Check the frequency and the scheme."""
        super().__init__(verbose)
        if bits not in SCHEMES:
            raise StructuredLayersError(f"bits must be one of {', '.join(SCHEMES)}, got {bits!r}")
        self.log_freq, self.bits = log_freq, bits
        check_integer_(self, "log_freq", 1)
        self._counted_at: int | None = None
        self._sizes: dict[str, float] = {}

    def _init_callback(self) -> None:
        if not deployed_layers(self.model.policy):
            raise StructuredLayersError(
                f"a {type(self.model.policy).__name__} has no linear layers, so there is nothing "
                "to count; leave CompressionCallback out"
            )
        self._counted_at = None

    # At the start as well: off-policy algorithms write their log before a rollout ends.
    def _on_rollout_start(self) -> None:
        self._record()

    def _on_rollout_end(self) -> None:
        self._record()

    def _on_step(self) -> bool:
        return True

    def _record(self) -> None:
        step = self.model.num_timesteps
        if self._counted_at is None or step - self._counted_at >= self.log_freq:
            self._counted_at, self._sizes = step, network_sizes(self.model.policy, self.bits)
        for name, value in self._sizes.items():
            self.logger.record(f"compression/{name}", value)


def network_sizes(policy: nn.Module, bits: str = "entropy") -> dict[str, float]:
    """Return weights, bits, density and colours of actor and critic, by ``actor_weights``, ….

    Args:
        policy: the policy of any algorithm.
        bits: the scheme of the bits.
    """
    actor, critic = deployed_layers(policy), critic_layers(policy)
    only_critic = {name: layer for name, layer in critic.items() if name not in actor}
    sizes: dict[str, float] = {}
    for role, layers in (("actor", actor), ("critic", only_critic)):
        if layers:
            found = _sizes(list(layers.values()), bits)
            sizes |= {f"{role}_{name}": value for name, value in found.items()}
    return sizes


def _sizes(layers: list[nn.Module], bits: str) -> dict[str, float]:
    summary = summarize(nn.ModuleList(layers))
    sizes = {"weights": summary.weights, "bits": summary.bits[bits], "density": _density(layers)}
    chromatic = [layer for layer in layers if isinstance(layer, ChromaticLinear)]
    return {**sizes, "colors": _used_colors(chromatic)} if chromatic else sizes


def _density(layers: Iterable[nn.Module]) -> float:
    kept = possible = 0
    for layer in layers:
        size = int(layer.in_features) * int(layer.out_features)  # type: ignore[arg-type]
        possible += size
        if isinstance(layer, ChromaticLinear):
            kept += int((layer.colors >= 0).sum())
        elif isinstance(layer, (MaskedLinear, SoftMaskedLinear)):
            kept += int(layer.num_weights)
        else:
            kept += size
    return kept / possible


def _used_colors(layers: Iterable[ChromaticLinear]) -> int:
    used: dict[int, list[torch.Tensor]] = {}
    for layer in layers:
        used.setdefault(id(layer.values), []).append(layer.colors.flatten())
    colors = (set(torch.cat(parts).tolist()) for parts in used.values())
    return sum(len(part - {-1}) for part in colors)
