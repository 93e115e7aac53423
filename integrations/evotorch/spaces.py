"""Gymnasium's action spaces as what a policy does with its outputs."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from structured_layers.actions import Actions, BoxActions, DiscreteActions, MultiDiscreteActions
from structured_layers.errors import StructuredLayersError


def actions_of(space: spaces.Space[Any]) -> Actions:
    """Return how outputs become actions of ``space``.

    Raises:
        StructuredLayersError: neither a Box nor a Discrete or MultiDiscrete space.
    """
    if isinstance(space, spaces.Discrete):
        return DiscreteActions(int(space.n), int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return MultiDiscreteActions(tuple(space.nvec.tolist()), tuple(space.start.tolist()))
    if isinstance(space, spaces.Box):
        return BoxActions(space.low, space.high)
    raise StructuredLayersError(
        f"a policy acts in a Box, a Discrete or a MultiDiscrete space, got {space}"
    )
