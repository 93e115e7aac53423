"""Magnitude pruning while a model trains."""

from __future__ import annotations

from numbers import Real

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from ....errors import StructuredLayersError
from ....layers import MaskedLinear
from ..setting_checks import check_integer_
from ..target_structure import sync_target_structure_
from ..targets import target_networks
from .networks import clear_entries, kept_by_ars, online_networks
from .pruning_schedule import CubicSchedule, keep_largest

MaskedLayers = dict[str, MaskedLinear]


class PruningScheduleCallback(BaseCallback):
    """Prune the masked layers of a policy, fast at first and slowly towards the end.

    The policy needs layers of a fixed mask, as ``structure=dict(layer="masked")`` makes them. At
    every pruning the edges of largest absolute value survive, ranked over all masked layers of a
    network together; actor, critic and twin critics are ranked apart, and each layer keeps at least
    one edge. Masks are written to online and target networks. A dead edge never returns: its value
    and the optimizer's averages of it are zero.

    Prunings happen between rollouts, and at the end of training if one is due. The number of edges
    depends on ``model.num_timesteps`` alone and the masks are saved with the model, so a resumed
    training goes on by the same schedule: give the same arguments and
    ``learn(…, reset_num_timesteps=False)``.

    Args:
        final_density: the share of each network's edges, out of those of masked layers, that is
            left at the end.
        num_edges: the number of edges that is left in each network, instead of ``final_density``.
        start: the step of the first pruning.
        end: the step of the last one, after which training goes on with the final masks.
        frequency: steps between two prunings.
        initial_density: the density at which the curve begins. A network that has fewer edges is
            left alone until the curve comes down to them.
        verbose: as for every callback.

    Raises:
        StructuredLayersError: arguments that fit no schedule; when training starts, a policy
            without layers of a fixed mask, too few edges for its layers, or more of them than at
            the start of the curve. The model is untouched.

    Examples:
        >>> callback = PruningScheduleCallback(final_density=0.1, start=10_000, end=80_000)
        >>> model.learn(100_000, callback=callback)  # doctest: +SKIP

    Reference:
        Zhu & Gupta, To Prune, or Not to Prune, 2017.
    """

    def __init__(
        self,
        *,
        final_density: float | None = None,
        num_edges: int | None = None,
        start: int,
        end: int,
        frequency: int = 1_000,
        initial_density: float = 1.0,
        verbose: int = 0,
    ) -> None:
        """Check the schedule."""
        super().__init__(verbose)
        if (final_density is None) == (num_edges is None):
            raise StructuredLayersError(
                "a pruning schedule needs either final_density or num_edges, got "
                f"final_density={final_density} and num_edges={num_edges}"
            )
        self.schedule = CubicSchedule(start, end, frequency)
        self.final_density, self.num_edges = final_density, num_edges
        self.initial_density = initial_density
        _check_density("initial_density", initial_density)
        if num_edges is not None:
            check_integer_(self, "num_edges", 1)
        if final_density is not None:
            _check_density("final_density", final_density)
            _check_falls("the density", initial_density, final_density)
        self._pruned_at: int | None = None

    def _init_callback(self) -> None:
        networks = masked_networks(self.model.policy)
        if not networks:
            raise StructuredLayersError(_nothing_to_prune(self.model.policy))
        for name, layers in networks.items():
            final, possible = self._final_edges(layers), num_possible(layers)
            if not len(layers) <= final <= possible:
                raise StructuredLayersError(
                    f"the schedule ends at {final} edges in {name}, but its {len(layers)} masked "
                    f"layers have {possible} edges and keep at least one each; give between "
                    f"{len(layers)} and {possible} edges"
                )
            _check_falls(
                f"the number of edges in {name}", round(self.initial_density * possible), final
            )
        self._pruned_at = None

    def _on_rollout_start(self) -> None:
        self._prune_if_due()

    def _on_training_end(self) -> None:
        self._prune_if_due()

    def _on_step(self) -> bool:
        return True

    def _prune_if_due(self) -> None:
        due = self.schedule.last_pruning(self.model.num_timesteps)
        if due is None or due == self._pruned_at:
            return
        with kept_by_ars(self.model):
            self._prune(self.model.policy, due)
        self._pruned_at = due

    def _prune(self, policy: nn.Module, due: int) -> None:
        for name, layers in masked_networks(policy).items():
            initial = round(self.initial_density * num_possible(layers))
            left = self.schedule.num_edges(due, initial, self._final_edges(layers))
            prune_network_(policy, layers, max(left, len(layers)))
            kept = sum(layer.num_weights for layer in layers.values())
            self.logger.record(f"pruning/{name}_edges", kept)
        _follow_in_targets_(policy)

    def _final_edges(self, layers: MaskedLayers) -> int:
        if self.num_edges is not None:
            return self.num_edges
        return round((self.final_density or 0.0) * num_possible(layers))


def masked_networks(policy: nn.Module) -> dict[str, MaskedLayers]:
    """Return the layers of a fixed mask in each online network that has some."""
    networks = {
        network: {
            name: layer
            for name, layer in layers.items()
            if isinstance(layer, MaskedLinear) and layer.num_edges is None
        }
        for network, layers in online_networks(policy).items()
    }
    return {network: layers for network, layers in networks.items() if layers}


def num_possible(layers: MaskedLayers) -> int:
    """Return the number of edges that layers can have, dead ones included."""
    return sum(layer.values.numel() for layer in layers.values())


@torch.no_grad()
def prune_network_(policy: nn.Module, layers: MaskedLayers, num_edges: int) -> None:
    """Leave the ``num_edges`` largest edges of a network; clear what the optimizers keep of others.

    Args:
        policy: the policy that owns the network and its optimizers.
        layers: the masked layers of the network.
        num_edges: how many edges are left at most; fewer if there are fewer.
    """
    values = {name: layer.values for name, layer in layers.items()}
    masks = {name: layer.mask for name, layer in layers.items()}
    for name, mask in keep_largest(values, masks, num_edges).items():
        layers[name].mask.copy_(mask)
        layers[name].values.masked_fill_(~mask, 0)
        clear_entries(policy, layers[name].values, ~mask)


@torch.no_grad()
def _follow_in_targets_(policy: nn.Module) -> None:
    sync_target_structure_(policy)
    for _, target in target_networks(policy):
        for layer in target.modules():
            if isinstance(layer, MaskedLinear) and layer.num_edges is None:
                layer.values.masked_fill_(~layer.mask, 0)


def _check_density(name: str, density: float) -> None:
    is_number = isinstance(density, Real) and not isinstance(density, bool)
    if not is_number or not 0 < density <= 1:
        raise StructuredLayersError(f"{name} must be above 0 and at most 1, got {density!r}")


def _check_falls(what: str, initial: float, final: float) -> None:
    if initial < final:
        raise StructuredLayersError(
            f"{what} would rise from {initial} to {final}, but dead edges never return; give an "
            "initial_density that is at least the final one"
        )


def _nothing_to_prune(policy: nn.Module) -> str:
    learned = [
        name
        for layers in online_networks(policy).values()
        for name, layer in layers.items()
        if isinstance(layer, MaskedLinear)
    ]
    if learned:
        return (
            f"the masks of {', '.join(learned)} are learned and keep their number of edges; for a "
            'pruning schedule leave learn_mask out: structure=dict(layer="masked")'
        )
    return (
        f"a {type(policy).__name__} without masked layers has nothing to prune; train with "
        'policy_kwargs=dict(structure=dict(layer="masked")) and a structured policy such as '
        '"StructuredMlpPolicy"'
    )
