"""The Minitaur's leg: two motors on one axis turn a chain of five bars.

All angles are in radians. A motor's angle is 0 where its upper bar points up, π/2 where it is level
and π where it points down. The bars of the "back" motor bend the knee backwards, those of the
"front" motor forwards; they meet at the ankle. Turning both motors by the same angle extends the
leg, turning them by opposite angles swings it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UPPER = 0.101
"""Meters from the motors' axis to a knee."""

LOWER = 0.2
"""Meters from a knee to the ankle."""

TOE = 0.04
"""Meters that the back bar goes on beyond the ankle."""

LEVEL = np.pi / 2
MOST_EXTENSION = np.pi / 2 - 0.05
"""Beyond it, to either side, the upper bars would cross."""


class LegShape(NamedTuple):
    """Where the joints of a leg are, seen from its left, as (x forward, z up) from the motors."""

    back_knee: Floats
    front_knee: Floats
    ankle: Floats
    foot: Floats


def leg_shape(back: float, front: float) -> LegShape:
    """Close the chain for two motor angles."""
    back_knee = UPPER * np.array([-np.sin(back), np.cos(back)])
    front_knee = UPPER * np.array([np.sin(front), np.cos(front)])
    half = (front_knee - back_knee) / 2
    reach = np.sqrt(LOWER**2 - half @ half)
    ankle = back_knee + half + reach * np.array([half[1], -half[0]]) / np.sqrt(half @ half)
    foot = ankle + (ankle - back_knee) * (TOE / LOWER)
    return LegShape(back_knee, front_knee, ankle, foot)


def knee_angles(back: float, front: float) -> tuple[float, float]:
    """Angles of back and front knee about the y axis, 0 where both motors' bars are level."""
    level, shape = leg_shape(LEVEL, LEVEL), leg_shape(back, front)
    back_turn = _turn(level.ankle - level.back_knee, shape.ankle - shape.back_knee)
    front_turn = _turn(level.ankle - level.front_knee, shape.ankle - shape.front_knee)
    return back_turn + (back - LEVEL), front_turn - (front - LEVEL)


def motor_angles(swing: Floats, extension: Floats) -> Floats:
    """Motor angles (8,) of four legs from their swing and extension, (4,) each.

    Positive swing moves a foot forwards, extension 0 has the upper bars level. The order is that of
    `minitaur_model.MOTORS`: left legs have their back motor first, right legs their front motor.
    """
    extension = np.clip(extension, -MOST_EXTENSION, MOST_EXTENSION)
    back, front = LEVEL + extension + swing, LEVEL + extension - swing
    legs = np.stack([back, front], axis=1)
    legs[2:] = legs[2:, ::-1].copy()
    return legs.ravel()


def _turn(before: Floats, after: Floats) -> float:
    """The angle about y, in (−π, π], between two directions (x, z)."""
    angle = np.arctan2(after[0], after[1]) - np.arctan2(before[0], before[1])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
