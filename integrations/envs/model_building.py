"""Small things that every built model needs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from structured_layers.errors import MissingDependencyError


def import_mujoco() -> ModuleType:
    """MuJoCo, or an error that names the extra; importing this module does not load it."""
    try:
        import mujoco
    except ImportError as error:
        raise MissingDependencyError("MuJoCo environments", "evolution") from error
    module: ModuleType = mujoco
    return module


def brighten(spec: Any) -> None:
    """Light the scene from the camera and put a sky behind it; nothing that moves depends on it."""
    mujoco = import_mujoco()
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.headlight.diffuse = [0.45, 0.45, 0.45]
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.95, 0.97, 1.0],
        rgb2=[0.65, 0.75, 0.85],
        width=64,
        height=384,
    )


def set_damping(joint: Any, value: float) -> None:
    """Set linear damping, which is the first of several coefficients since MuJoCo 4."""
    joint.damping = value if np.ndim(joint.damping) == 0 else [value, 0.0, 0.0]


def remove(spec: Any, element: Any) -> None:
    """Take a body, geom or joint out; early versions of MuJoCo 3.3 had other names for it."""
    if hasattr(spec, "delete"):
        spec.delete(element)
    elif hasattr(element, "delete"):
        element.delete()
    else:
        spec.detach_body(element)
