"""Palettes that are fitted anew while a model trains."""

from __future__ import annotations

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from ....errors import StructuredLayersError
from ....layers import ChromaticLinear
from ....layers.clustering import kmeans
from ....layers.straight_through import palette_units
from ..setting_checks import check_integer_
from ..targets import target_networks
from .networks import forget, kept_by_ars, online_networks

RECOLORED_AT = "_recolored_at"


class RecolorCallback(BaseCallback):
    """Fit the palettes of learned colours to their shadows again, every so many steps.

    While colours are learned, every edge has a dense shadow value and shows the colour nearest to
    it. A colour that no shadow is near gets no gradient and is lost. At every recolouring the
    palette of each network becomes the best k-means centers of its shadows, in the units of the
    palette, so the layers' scales play no part; edges then take the nearest new colour. Scales
    stay. The optimizer forgets its averages of palettes and scales. Target networks get the same
    palette.

    Recolourings happen between rollouts, but not after the last one, as training has to follow. One
    that was due then happens when training is resumed, also from a zip, with
    ``learn(…, reset_num_timesteps=False)``.

    Args:
        frequency: environment steps between two recolourings.
        verbose: as for every callback.

    Raises:
        StructuredLayersError: a frequency that is no integer of at least 1; when training starts, a
            policy without learned colours: fixed ones have no shadow that a palette could be
            fitted to. The model is untouched.

    Examples:
        >>> model.learn(100_000, callback=RecolorCallback(frequency=20_000))  # doctest: +SKIP
    """

    def __init__(self, frequency: int = 10_000, *, verbose: int = 0) -> None:
        """Check the frequency."""
        super().__init__(verbose)
        self.frequency = frequency
        check_integer_(self, "frequency", 1)

    def _init_callback(self) -> None:
        if not learned_palettes(self.model.policy):
            raise StructuredLayersError(_nothing_to_fit(self.model.policy))
        step = self.model.num_timesteps
        # Kept by the model and its zip, since a training can stop before one that is due.
        vars(self.model)[RECOLORED_AT] = min(vars(self.model).get(RECOLORED_AT, step), step)

    def _on_rollout_start(self) -> None:
        step = self.model.num_timesteps
        due = step - step % self.frequency
        if due <= vars(self.model)[RECOLORED_AT]:
            return
        with kept_by_ars(self.model):
            recolor_(self.model.policy)
        vars(self.model)[RECOLORED_AT] = step

    def _on_step(self) -> bool:
        return True


@torch.no_grad()
def recolor_(policy: nn.Module) -> None:
    """Fit every palette of learned colours to its shadows, in online and target networks.

    Args:
        policy: the policy of any algorithm; its optimizers forget palettes and scales.
    """
    for layers in learned_palettes(policy):
        values, shadows = layers[0].values, [layer.shadow for layer in layers]
        points = [palette_units(shadow).flatten() for shadow in shadows if shadow is not None]
        values.copy_(kmeans(torch.cat(points), values.numel()))
        forget(policy, [values, *(layer.scale for layer in layers if layer.scale is not None)])
    for online, target in target_networks(policy):
        _copy_palettes(online, target)


def learned_palettes(policy: nn.Module) -> list[list[ChromaticLinear]]:
    """Return the online layers of learned colours, in groups that share a palette."""
    groups: dict[int, list[ChromaticLinear]] = {}
    for layers in online_networks(policy).values():
        for layer in layers.values():
            if isinstance(layer, ChromaticLinear) and layer.shadow is not None:
                groups.setdefault(id(layer.values), []).append(layer)
    return list(groups.values())


def _copy_palettes(online: nn.Module, target: nn.Module) -> None:
    modules = dict(target.named_modules())
    for name, layer in online.named_modules():
        follower = modules.get(name)
        if isinstance(layer, ChromaticLinear) and layer.shadow is not None:
            if isinstance(follower, ChromaticLinear):
                follower.values.copy_(layer.values)


def _nothing_to_fit(policy: nn.Module) -> str:
    fixed = [
        name
        for layers in online_networks(policy).values()
        for name, layer in layers.items()
        if isinstance(layer, ChromaticLinear)
    ]
    found = f"the colours of {', '.join(fixed)} are fixed" if fixed else "it has no chromatic layer"
    return (
        f"a {type(policy).__name__} has nothing to recolour: {found}; train with policy_kwargs="
        'dict(structure=dict(layer="chromatic", num_colors=17, learn_colors=True))'
    )
