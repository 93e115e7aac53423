"""The generator of leg movements that policies modulate (Iscen et al., 2018).

A phase φ in [0, 2π) goes round once a stride: stance up to π, swing beyond. Each leg has the same
phase, shifted by its part of the gait.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TWO_PI = 2 * np.pi
SWING = 0.5
"""Radians that an intensity of 1 swings a leg to each side."""

STANCE_LIFT, SWING_LIFT = -0.02, 0.9
"""Radians that an intensity of 1 shortens a leg by, in the middle of stance and of swing."""

GAITS = {
    "walk": (0.0, 0.25, 0.5, 0.75),
    "trot": (0.0, 0.5, 0.5, 0.0),
    "bound": (0.0, 0.5, 0.0, 0.5),
    "pace": (0.0, 0.0, 0.5, 0.5),
    "pronk": (0.0, 0.0, 0.0, 0.0),
}
"""Parts of a stride by which the legs are ahead: front left, back left, front right, back right."""


class Modulation(NamedTuple):
    """What a policy sets at every step.

    Attributes:
        speed: strides per second.
        intensity: how far the legs swing and how high they are lifted.
        front_height: extension about which the front legs move.
        back_height: the same of the back legs.
        ratio: seconds of stance for a second of swing.
    """

    speed: float
    intensity: float
    front_height: float
    back_height: float
    ratio: float


LOWEST = Modulation(speed=2.0, intensity=0.0, front_height=-0.5, back_height=-0.5, ratio=0.2)
HIGHEST = Modulation(speed=4.0, intensity=1.5, front_height=1.0, back_height=1.0, ratio=5.0)


def advance(phase: Floats | float, strides: Floats | float, ratio: float) -> Floats:
    """Return the phase after some strides more.

    In stance it moves by 2π·strides·(r+1)/(2r), in swing by 2π·strides·(r+1)/2, so that a stride
    has the same length for every ratio r, and its stance a share of r/(r+1).
    """
    share = ratio / (ratio + 1)
    halves = np.asarray(phase) / np.pi
    time = np.where(halves < 1, halves * share, share + (halves - 1) * (1 - share))
    time = (time + strides) % 1.0
    halves = np.where(time < share, time / share, 1 + (time - share) / (1 - share))
    return np.asarray(halves * np.pi)


def leg_poses(phases: Floats, modulation: Modulation) -> tuple[Floats, Floats]:
    """Return swing and extension of the legs, (4,) each."""
    intensity = modulation.intensity
    heights = np.array([modulation.front_height, modulation.back_height] * 2)
    lift = np.where(phases <= np.pi, STANCE_LIFT, SWING_LIFT)
    swing = intensity * SWING * np.cos(phases)
    extension = heights + intensity * lift * np.sin(phases)
    return swing, extension
