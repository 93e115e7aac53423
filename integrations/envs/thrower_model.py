"""Thrower's model: Pusher's arm with a hand, a ball in it and a box; and its first states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arm_model import RED, WHITE, add_slides, clear_body, open_pusher
from .model_building import import_mujoco, remove, set_damping

ARMATURE = 0.75
LIGHT = 0.0001
"""Density of everything in the arm but its column."""

JOINT_RANGES = {
    "r_shoulder_pan_joint": (-0.4854, 1.214602),
    "r_shoulder_lift_joint": (-0.5236, 0.7963),
    "r_upper_arm_roll_joint": (-1.5, 1.7),
    "r_elbow_flex_joint": (-0.7, 0.7),
    "r_forearm_roll_joint": (-1.5, 1.5),
    "r_wrist_flex_joint": (-1.0, 1.0),
    "r_wrist_roll_joint": (0.0, 2.25),
}
CONTROL_LIMITS = (10.0, 10.0, 10.0, 10.0, 15.0, 15.0, 15.0)
GROUND = -0.25
"""Below this height the ball has landed."""

FINGER_ANGLES = (0.392, 1.57, 1.178, 0.785, 1.96, 2.355, 2.74)
FINGER_PATH = ((0, 0.025, 0), (0, 0.075, 0.075), (0, 0.075, 0.15), (0, 0, 0.225))
"""Joints between a finger's three capsules."""

WALLS = (
    ((0.0, 0.075, 0.034), (0.075, 0.001, 0.03)),
    ((0.0, -0.075, 0.034), (0.075, 0.001, 0.03)),
    ((0.075, 0.0, 0.034), (0.001, 0.075, 0.03)),
    ((-0.076, 0.0, 0.034), (0.001, 0.075, 0.03)),
)
CORNERS = ((0.073, 0.073), (0.073, -0.073), (-0.073, 0.073), (-0.073, -0.073))


def thrower_model() -> Any:
    """Build and compile the `mujoco.MjModel` of Thrower.

    Its 16 positions are seven joints of the arm, the goal's y and x, and the free joint of the
    ball: place and quaternion. Bodies are called `r_wrist_roll_link` (the hand), `ball` and `goal`.
    """
    spec = open_pusher()
    spec.option.gravity = [0.0, 0.0, -9.81]
    spec.default.joint.armature = ARMATURE
    for actuator, limit in zip(spec.actuators, CONTROL_LIMITS, strict=True):
        actuator.ctrlrange = (-limit, limit)
    _make_arm_light(spec)
    _turn_forearm(spec)
    _make_hand(spec)
    remove(spec, spec.body("object"))
    _make_goal(spec)
    _make_ball(spec)
    return spec.compile()


def thrower_start(
    generator: np.random.Generator, model: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the positions and velocities of one episode's beginning: the goal's y, then its x."""
    qpos = model.qpos0.copy()
    qpos[7:9] = generator.uniform(-0.3, 0.3, size=2)
    qvel = generator.uniform(-0.005, 0.005, size=model.nv)
    qvel[7:] = 0.0
    return qpos, qvel


def _make_arm_light(spec: Any) -> None:
    for name, limits in JOINT_RANGES.items():
        joint = spec.joint(name)
        joint.range, joint.armature = limits, ARMATURE
        set_damping(joint, 1.0)
    for geom in spec.body("r_shoulder_pan_link").find_all("geom"):
        geom.density = 1.0 if geom.name == "sp" else LIGHT


def _turn_forearm(spec: Any) -> None:
    """Let the forearm point upwards, and the wrist turn about other axes."""
    _turn(spec.body("r_forearm_link"), (1.0, 0.0, 0.0), 0.392)
    spec.geom("fa").fromto = [0.0, 0.0, 0.0, 0.0, 0.0, 0.291]
    wrist = spec.body("r_wrist_flex_link")
    wrist.pos = [0.0, 0.0, 0.321]
    _turn(wrist, (0.0, 0.0, 1.0), 1.57)
    spec.joint("r_wrist_flex_joint").axis = [0.0, 0.0, 1.0]
    _turn(spec.body("r_wrist_roll_link"), (0.0, 1.0, 0.0), -1.178)
    spec.joint("r_wrist_roll_joint").axis = [0.0, 1.0, 0.0]


def _turn(body: Any, axis: tuple[float, float, float], angle: float) -> None:
    """Orient a body by an angle in radians; the type says which of MuJoCo's forms is meant."""
    body.alt.type = import_mujoco().mjtOrientation.mjORIENTATION_AXISANGLE
    body.alt.axisangle = [*axis, angle]


def _make_hand(spec: Any) -> None:
    """Replace the fork by a bar and seven bent fingers, each on a body turned about the palm."""
    hand = spec.body("r_wrist_roll_link")
    remove(spec, spec.body("tips_arm"))
    for prong in hand.geoms:
        remove(spec, prong)
    _add_capsule(hand, (0, -0.05, 0), (0, 0.05, 0), 0.01, density=LIGHT, conaffinity=1)
    for angle in FINGER_ANGLES:
        finger = hand.add_body(axisangle=[0.0, 0.0, 1.0, angle])
        for start, end in zip(FINGER_PATH[:-1], FINGER_PATH[1:], strict=True):
            _add_capsule(finger, start, end, 0.005, density=LIGHT, conaffinity=1)


def _make_goal(spec: Any) -> None:
    """An open box that slides on the floor."""
    box = import_mujoco().mjtGeom.mjGEOM_BOX
    goal = clear_body(spec, "goal")
    goal.pos = [0.575, 0.5, -0.328]
    goal.add_geom(
        type=box,
        pos=[0.0, 0.0, 0.005],
        size=[0.075, 0.075, 0.001],
        rgba=WHITE,
        contype=1,
        conaffinity=1,
        density=1000.0,
    )
    for place, size in WALLS:
        goal.add_geom(type=box, pos=place, size=size, rgba=WHITE, contype=1)
    for x, y in CORNERS:
        _add_capsule(goal, (x, y, 0.0075), (x, y, 0.06), 0.005, rgba=WHITE)
    add_slides(goal, "goal", damping=1.0, armature=ARMATURE)


def _make_ball(spec: Any) -> None:
    mujoco = import_mujoco()
    ball = spec.worldbody.add_body(name="ball", pos=[0.5, -0.8, 0.275])
    ball.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[0.03, 0.03, 0.1],
        rgba=RED,
        density=25.0,
        contype=1,
        conaffinity=1,
    )
    joint = ball.add_joint(name="ball_free", type=mujoco.mjtJoint.mjJNT_FREE, limited=0)
    joint.armature = 0.0
    set_damping(joint, 0.0)


def _add_capsule(
    body: Any,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    **options: Any,
) -> None:
    """Add a capsule that meets what has an affinity."""
    body.add_geom(
        type=import_mujoco().mjtGeom.mjGEOM_CAPSULE,
        fromto=[*start, *end],
        size=[radius, 0.0, 0.0],
        contype=1,
        **options,
    )
