"""What Striker's and Thrower's models share: Gymnasium's Pusher, opened for editing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium

from structured_layers.errors import StructuredLayersError

from .model_building import brighten, import_mujoco, remove, set_damping

PUSHER_XML = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "pusher_v5.xml"
SLIDE_RANGE = (-10.3213, 10.3)
RED, WHITE, HIDDEN = (0.85, 0.2, 0.15, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.0)


def open_pusher() -> Any:
    """Gymnasium's Pusher as a `mujoco.MjSpec`, from which a task's model is built."""
    if not PUSHER_XML.is_file():
        raise StructuredLayersError(
            f"the models of Striker and Thrower are built from {PUSHER_XML}, which gymnasium "
            f'{gymnasium.__version__} does not have; pip install "gymnasium[mujoco]>=1.2"'
        )
    spec = import_mujoco().MjSpec.from_file(str(PUSHER_XML))
    brighten(spec)
    return spec


def clear_body(spec: Any, name: str) -> Any:
    """Take the geoms and joints of a body away, and return it."""
    body = spec.body(name)
    for element in (*body.geoms, *body.joints):
        remove(spec, element)
    return body


def add_slides(body: Any, prefix: str, *, damping: float, armature: float) -> None:
    """Let a body slide along y and x, in this order of the joints."""
    slide = import_mujoco().mjtJoint.mjJNT_SLIDE
    for axis_name, axis in (("y", [0, 1, 0]), ("x", [1, 0, 0])):
        joint = body.add_joint(
            name=f"{prefix}_slide{axis_name}", type=slide, axis=axis, armature=armature
        )
        joint.range = SLIDE_RANGE
        set_damping(joint, damping)
