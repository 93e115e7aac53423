"""The Minitaur's model: a body on four legs, each of five bars that two motors turn.

Masses and lengths are those of the robot's published description for simulators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .leg import LEVEL, leg_shape
from .model_building import brighten, import_mujoco

LEGS = ("front_left", "back_left", "front_right", "back_right")
"""In this order everywhere."""

MOTORS = tuple(
    f"{leg}_{motor}"
    for leg in LEGS
    for motor in (("back", "front") if leg.endswith("left") else ("front", "back"))
)
"""In the order of the original's observations and actions."""

HIP_X, HIP_Y, HIP_Z = 0.2375, 0.1265, -0.0185
FOOT_RADIUS = 0.01
TORQUE_LIMIT = 3.5
"""Newton meters."""

# A motor's torque is 0.0954 N·m/A · (16 V · duty − 0.0954 V·s · velocity) / 0.186 Ω, and the
# controller sets duty = 1.0 · (target − angle) − 0.02 · velocity.
STIFFNESS = 0.0954 * 16 / 0.186
DAMPING = 0.02 * STIFFNESS + 0.0954**2 / 0.186

GREY, DARK = (0.65, 0.65, 0.75, 1.0), (0.25, 0.25, 0.28, 1.0)
BLUE = (0.2, 0.4, 0.7, 1.0)


def minitaur_model() -> Any:
    """Build and compile the `mujoco.MjModel`.

    Its 23 positions are the free joint of the body and, leg by leg, the back motor, the back knee,
    the front motor and the front knee. The body is called `chassis`, feet are geoms `<leg>_foot`.
    """
    mujoco = import_mujoco()
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 0.001
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    brighten(spec)
    _add_floor(spec)
    chassis = _add_chassis(spec)
    for leg in LEGS:
        _add_leg(spec, chassis, leg)
    for motor in MOTORS:
        _add_servo(spec, motor)
    return spec.compile()


def _add_floor(spec: Any) -> None:
    mujoco = import_mujoco()
    spec.add_texture(
        name="tiles",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.75, 0.77, 0.8],
        rgb2=[0.6, 0.62, 0.65],
        width=256,
        height=256,
    )
    material = spec.add_material(name="tiles", texrepeat=[2, 2], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[20, 20, 0.1],
        material="tiles",
        contype=1,
        conaffinity=1,
    )


def _add_chassis(spec: Any) -> Any:
    """The middle part and the two sides that carry the motors."""
    mujoco = import_mujoco()
    chassis = spec.worldbody.add_body(name="chassis", pos=[0, 0, 0.3])
    chassis.add_freejoint(name="root")
    _set_inertia(chassis, 3.353, (0.05, 0, 0), (0.006837, 0.027262, 0.029870))
    track = mujoco.mjtCamLight.mjCAMLIGHT_TRACK
    chassis.add_light(mode=track, pos=[0, 0, 2.7], dir=[0, 0, -1])
    chassis.add_camera(
        name="track",
        mode=track,
        pos=[0.8, -0.95, 0.4],
        xyaxes=[0.766, 0.643, 0.0, -0.199, 0.237, 0.951],
    )
    box = mujoco.mjtGeom.mjGEOM_BOX
    chassis.add_geom(type=box, size=[0.15, 0.065, 0.0435], rgba=DARK, contype=1, conaffinity=1)
    for side, y in (("left", HIP_Y), ("right", -HIP_Y)):
        rail = chassis.add_body(name=f"{side}_rail", pos=[0, y, HIP_Z])
        _set_inertia(rail, 1.32, (0, 0, 0), (0.004147, 0.040913, 0.041840))
        rail.add_geom(type=box, size=[0.27, 0.03, 0.02], rgba=GREY, contype=1, conaffinity=1)
    return chassis


def _set_inertia(
    body: Any, mass: float, center: tuple[float, ...], inertia: tuple[float, ...]
) -> None:
    body.explicitinertial = True
    body.mass, body.ipos, body.inertia = mass, center, inertia


def _add_leg(spec: Any, chassis: Any, leg: str) -> None:
    """Two chains of two bars, joined at the ankle, in the posture with level upper bars."""
    shape = leg_shape(LEVEL, LEVEL)
    hip = [
        HIP_X if leg.startswith("front") else -HIP_X,
        HIP_Y if leg.endswith("left") else -HIP_Y,
        HIP_Z,
    ]
    back = _add_chain(
        chassis, f"{leg}_back", hip, shape.back_knee, shape.foot, sign=-1, lower_mass=0.086
    )
    _add_chain(
        chassis, f"{leg}_front", hip, shape.front_knee, shape.ankle, sign=1, lower_mass=0.072
    )
    _add_foot(back, f"{leg}_foot", shape.foot - shape.back_knee)
    ankle = spec.add_equality(
        type=import_mujoco().mjtEq.mjEQ_CONNECT,
        objtype=import_mujoco().mjtObj.mjOBJ_BODY,
        name1=f"{leg}_back_lower",
        name2=f"{leg}_front_lower",
    )
    ankle.data[:3] = _in_plane(shape.ankle - shape.back_knee)
    ankle.solref = [0.004, 1.0]


def _add_foot(bar: Any, name: str, place: np.ndarray[Any, Any]) -> None:
    bar.add_geom(
        name=name,
        type=import_mujoco().mjtGeom.mjGEOM_SPHERE,
        pos=_in_plane(place),
        size=[FOOT_RADIUS, 0, 0],
        mass=0.0,
        rgba=DARK,
        friction=[1.0, 0.01, 0.001],
        contype=1,
        conaffinity=1,
    )


def _add_chain(
    chassis: Any,
    name: str,
    hip: list[float],
    knee: np.ndarray[Any, Any],
    end: np.ndarray[Any, Any],
    *,
    sign: int,
    lower_mass: float,
) -> Any:
    """An upper bar that a motor turns, and the lower bar at its knee, which is returned."""
    hinge = import_mujoco().mjtJoint.mjJNT_HINGE
    upper = chassis.add_body(name=f"{name}_upper", pos=hip)
    motor = upper.add_joint(name=name, type=hinge, axis=[0, sign, 0], ref=LEVEL)
    motor.armature = 0.00021765 - 0.5 * 0.072 * 0.0425**2  # of the rotor, beyond its cylinder's
    upper.add_geom(
        type=import_mujoco().mjtGeom.mjGEOM_CYLINDER,
        fromto=[0, -0.0105 + 0.0275 * sign, 0, 0, 0.0105 + 0.0275 * sign, 0],
        size=[0.0425, 0, 0],
        mass=0.072,
        rgba=DARK,
        contype=0,
        conaffinity=0,
    )
    _add_bar(upper, knee, radius=0.01, mass=0.034)
    lower = upper.add_body(name=f"{name}_lower", pos=_in_plane(knee))
    lower.add_joint(name=f"{name}_knee", type=hinge, axis=[0, 1, 0])
    _add_bar(lower, end - knee, radius=0.007, mass=lower_mass)
    return lower


def _add_bar(body: Any, end: np.ndarray[Any, Any], *, radius: float, mass: float) -> None:
    body.add_geom(
        type=import_mujoco().mjtGeom.mjGEOM_CAPSULE,
        fromto=[0, 0, 0, *_in_plane(end)],
        size=[radius, 0, 0],
        mass=mass,
        rgba=BLUE,
        contype=0,
        conaffinity=0,
    )


def _add_servo(spec: Any, motor: str) -> None:
    """A position servo: torque = stiffness · (target − angle) − damping · velocity, bounded."""
    mujoco = import_mujoco()
    servo = spec.add_actuator(
        name=motor,
        target=motor,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
    )
    servo.gainprm[0] = STIFFNESS
    servo.biasprm[1:3] = -STIFFNESS, -DAMPING
    servo.forcelimited = True
    servo.forcerange = [-TORQUE_LIMIT, TORQUE_LIMIT]


def _in_plane(point: np.ndarray[Any, Any]) -> list[float]:
    """(x, z) as a place in the leg's plane."""
    return [float(point[0]), 0.0, float(point[1])]
